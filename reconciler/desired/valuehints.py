"""What was probably meant by a number, a switch or a quantity that is none. Pure."""

from __future__ import annotations

import re

from reconciler.desired.texthints import value_hint

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_SWITCHES = frozenset(("yes", "no", "on", "off", "true", "false"))
_AMOUNT = re.compile(r"(\d+(?:[.,]\d+)?) *([A-Za-z]*)")
# What people write for a unit, in lower case, and how Kubernetes writes it.
_UNITS = {
    "core": ("",), "cores": ("",), "cpu": ("",), "cpus": ("",), "vcpu": ("",),
    "millicores": ("m",), "millicpu": ("m",), "m": ("m", "Mi"),
    "b": ("",), "byte": ("",), "bytes": ("",), "": ("",),
    "k": ("k", "Ki"), "kb": ("k", "Ki"), "kib": ("Ki",), "ki": ("Ki",),
    "mb": ("M", "Mi"), "mib": ("Mi",), "mi": ("Mi",),
    "g": ("G", "Gi"), "gb": ("G", "Gi"), "gib": ("Gi",), "gi": ("Gi",),
    "t": ("T", "Ti"), "tb": ("T", "Ti"), "tib": ("Ti",), "ti": ("Ti",),
}  # fmt: skip


def unquoted_hint(text: str) -> str:
    """Return the likely fix of a string where a number or a switch belongs."""
    if hint := value_hint(text):
        return hint
    if _NUMBER.fullmatch(text) or text in ("true", "false"):
        return "write the value without quotes"
    return "write true or false" if text.lower() in _SWITCHES else ""


def quantity_hint(text: str) -> str:
    """Return how a quantity like "12 MB" is written, or nothing."""
    amount = _AMOUNT.fullmatch(text.strip())
    units = _UNITS.get(amount[2].lower()) if amount else None
    if amount is None or units is None:
        return ""
    number = amount[1].replace(",", ".")
    return "write " + " or ".join(f'"{number}{unit}"' for unit in units)
