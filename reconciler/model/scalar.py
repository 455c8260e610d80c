"""The scalar types of the API: sized integers, IntOrString, quantities, times, base64.

Used in model classes only. A validator here brings a value into the one form that Kubernetes
stores, so that equal manifests give equal objects; it costs nothing when the value is in it.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from reconciler.model import quantity, time

_FOREIGN = re.compile(r"[^A-Za-z0-9+/=]")


def _decode_bytes(value: Any) -> Any:
    if value is None:
        return ""
    if type(value) is str:
        try:
            b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            text = f"illegal base64 data at input byte {_first_fault(value)}"
            raise ValueError(text) from error
    return value


def _first_fault(text: str) -> int:
    """Return where Go's decoder stops: at a foreign letter, else where the cut group begins."""
    foreign = _FOREIGN.search(text)
    return foreign.start() if foreign else len(text.rstrip("=")) // 4 * 4


Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
IntOrString = Int32 | str
"""A port number or the name of a container's port."""

Quantity = Annotated[str, BeforeValidator(quantity.decode)]
"""A resource quantity in canonical form; see `quantity.py` for arithmetic."""

Amount = Annotated[str, BeforeValidator(quantity.decode_milli)]
"""A quantity in a ResourceList: rounded up to thousandths."""

ResourceList = dict[str, Amount]
"""Amounts by resource name: "cpu", "memory", ..."""

Bytes = Annotated[str, BeforeValidator(_decode_bytes)]
"""Go's []byte: base64 text."""

Time = Annotated[str, BeforeValidator(time.decode_time)]
"""metav1.Time: RFC 3339 in UTC with whole seconds."""

MicroTime = Annotated[str, BeforeValidator(time.decode_micro_time)]
"""metav1.MicroTime: RFC 3339 in UTC with microseconds."""
