"""Kubernetes resource quantities: parse, canonical form, comparison. Pure and cached.

Called by the models when they decode, by validation, and by everybody who counts resources.
A quantity travels as its canonical string ("500m", "64Mi"); nobody else takes it apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, DecimalException, InvalidOperation
from functools import lru_cache
from typing import Any, Literal

FORMAT_ERROR = (
    "quantities must match the regular expression "
    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
NUMERIC_ERROR = "unable to parse numeric part of quantity"
SUFFIX_ERROR = "unable to parse quantity's suffix"

Format = Literal["decimal", "binary", "exponent"]

_PARTS = re.compile(r"([+-]?)([0-9]*(?:\.[0-9]*)?)([eEinumkKMGTP]*[-+]?[0-9]*)")
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)")
_NANO = Decimal("1e-9")
_MAX = Decimal(2**63 - 1)


@dataclass(frozen=True, slots=True)
class Amount:
    """A parsed quantity: its value, at most nine decimals, and the suffix family it is written in."""

    value: Decimal
    format: Format


class QuantityError(ValueError):
    """The text is no quantity; the message is Kubernetes' own."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Amount:
    """Parse `text` as resource.ParseQuantity does; raises `QuantityError`.

    Finer than nano rounds up, away from zero; a number beyond 2**63-1 is capped.
    """
    match = _PARTS.fullmatch(text)
    if not text or match is None:
        raise QuantityError(FORMAT_ERROR)
    sign, digits, suffix = match.groups()
    if digits in ("", "."):
        raise QuantityError(FORMAT_ERROR if not digits else NUMERIC_ERROR)
    multiplier, form = _scale(suffix)
    magnitude = _limit(Decimal(digits) * multiplier)
    return Amount(-magnitude if sign == "-" else magnitude, form)


def _scale(suffix: str) -> tuple[Decimal, Format]:
    if suffix in _BINARY:
        return Decimal(2 ** _BINARY[suffix]), "binary"
    if suffix in _DECIMAL:
        return Decimal(10) ** _DECIMAL[suffix], "decimal"
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None:
        raise QuantityError(SUFFIX_ERROR)
    try:
        return Decimal(10) ** int(exponent[1]), "exponent"
    except DecimalException as error:
        raise QuantityError(SUFFIX_ERROR) from error


def _limit(magnitude: Decimal) -> Decimal:
    if magnitude >= _MAX:
        return _MAX
    try:
        return magnitude.quantize(_NANO, rounding=ROUND_CEILING)
    except InvalidOperation:
        return _MAX


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the one form in which Kubernetes writes the quantity ("0.5" is "500m").

    The mantissa has no fraction, the suffix is the largest possible in its family.
    """
    amount = parse(text)
    if amount.format == "binary":
        return _write_binary(amount.value)
    return _write_decimal(amount.value, exponent=amount.format == "exponent")


def _write_binary(value: Decimal) -> str:
    # Below 1024 and for fractions the binary family is written as a decimal.
    if value != value.to_integral_value() or abs(value) < 1024:  # noqa: PLR2004 - one Ki
        return _write_decimal(value, exponent=False)
    number, suffix = int(value), ""
    for name in _BINARY:
        if number % 1024:
            break
        number, suffix = number // 1024, name
    return f"{number}{suffix}"


def _write_decimal(value: Decimal, *, exponent: bool) -> str:
    if value == 0:
        return "0"
    nanos, power = int(value.scaleb(9)), -9
    while nanos % 1000 == 0 and power < 18:  # noqa: PLR2004 - exa is the largest suffix
        nanos, power = nanos // 1000, power + 3
    if exponent:
        return f"{nanos}e{power}" if power else str(nanos)
    return f"{nanos}{_DECIMAL_SUFFIX[power]}"


def decode(value: Any) -> Any:
    """Return the canonical text of a JSON value; numbers count as their text, null as zero.

    Raises `QuantityError`; a value of another type is returned as it is, for the decoder to refuse.
    """
    if type(value) is str:
        return canonical(value)
    if value is None:
        return "0"
    if type(value) in (int, float):
        return canonical(repr(value))
    return value


def to_int(text: str) -> int:
    """Return the quantity in whole units, rounded up (Quantity.Value): bytes, counts."""
    return int(parse(text).value.to_integral_value(rounding=ROUND_CEILING))


def to_milli(text: str) -> int:
    """Return the quantity in thousandths, rounded up (Quantity.MilliValue): CPU."""
    return int(parse(text).value.scaleb(3).to_integral_value(rounding=ROUND_CEILING))


def compare(left: str, right: str) -> int:
    """Return -1, 0 or 1 as `left` is less than, equal to or greater than `right`."""
    first, second = parse(left).value, parse(right).value
    return (first > second) - (first < second)


def from_milli(milli: int) -> str:
    """Return the canonical quantity of `milli` thousandths."""
    return canonical(f"{milli}m")


def from_bytes(count: int) -> str:
    """Return the canonical quantity of `count` bytes, in the binary family."""
    return _write_binary(Decimal(count))
