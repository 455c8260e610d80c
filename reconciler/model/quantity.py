"""Kubernetes resource quantities: parse, canonical form, comparison. Pure and cached.

Called by the models when they decode, by validation, and by everybody who counts resources.
A quantity travels as its canonical string ("500m", "64Mi"); nobody else takes it apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_UP, Context, Decimal
from functools import lru_cache
from typing import Any, Literal

FORMAT_ERROR = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
NUMERIC_ERROR = "unable to parse numeric part of quantity"
SUFFIX_ERROR = "unable to parse quantity's suffix"

Format = Literal["decimal", "binary", "exponent"]

_PARTS = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)")
_NANO = Decimal("1e-9")
_MILLI = Decimal("1e-3")
_MAX = Decimal(2**63 - 1)
_WIDE = Context(prec=2000)
_LONGEST, _LONGEST_EXPONENT = 500, 3
_SHORT, _SHORT_BINARY = 18, 14
_NANO_POWER = -9


@dataclass(frozen=True, slots=True)
class Amount:
    """A parsed quantity: its value, at most nine decimals, and the suffix family it is written in.

    `exact` says that Kubernetes keeps the very text.
    """

    value: Decimal
    format: Format
    exact: bool


class QuantityError(ValueError):
    """The text is no quantity; the message is Kubernetes' own."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Amount:
    """Parse `text` as resource.ParseQuantity does; raises `QuantityError`.

    Finer than nano rounds up, away from zero; a binary one beyond 2**63-1 is capped.
    """
    match = _PARTS.fullmatch(text.strip())
    if not text or match is None or len(text) > _LONGEST:
        raise QuantityError(FORMAT_ERROR)
    sign, whole, fraction, suffix = match.groups()
    exponent, form = _scale(suffix)
    if not whole and not fraction:
        raise QuantityError(NUMERIC_ERROR)
    magnitude = _limit(Decimal(f"{whole or '0'}.{fraction or '0'}"), exponent, form)
    return Amount(
        value=-magnitude if sign == "-" else magnitude,
        format=form,
        exact=_is_exact(whole.lstrip("0"), fraction or "", exponent, form),
    )


def _scale(suffix: str) -> tuple[int, Format]:
    """Return the power (of 2 or of 10) that a suffix stands for, and its family."""
    if suffix in _BINARY:
        return _BINARY[suffix], "binary"
    if suffix in _DECIMAL:
        return _DECIMAL[suffix], "decimal"
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None or len(exponent[1].lstrip("+-")) > _LONGEST_EXPONENT:
        raise QuantityError(SUFFIX_ERROR)
    return int(exponent[1]), "exponent"


def _limit(number: Decimal, exponent: int, form: Format) -> Decimal:
    if form == "binary":
        return min(_WIDE.multiply(number, Decimal(2**exponent)), _MAX)
    scaled = number.scaleb(exponent, context=_WIDE)
    if scaled == scaled.to_integral_value():
        return scaled
    return scaled.quantize(_NANO, rounding=ROUND_CEILING, context=_WIDE)


def _is_exact(whole: str, fraction: str, exponent: int, form: Format) -> bool:
    """Say whether Kubernetes keeps the text as it was written, because it is canonical enough."""
    digits = whole + fraction
    if form == "binary":
        short = len(whole) + exponent * 3 // 10 <= _SHORT_BINARY
        return short and not fraction and int(whole or "0") % 8 != 0
    power = exponent - len(fraction)
    if not digits or len(digits) > _SHORT or power < _NANO_POWER or power % 3:
        return False
    return digits[0] != "0" and not digits.endswith("000")


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the form in which Kubernetes writes the quantity ("0.5" is "500m").

    The mantissa has no fraction and the suffix is the largest possible in its family, except that
    a text that is near enough to that stays as it is ("+5").
    """
    amount = parse(text)
    return text.strip() if amount.exact else _write(amount)


@lru_cache(maxsize=4096)
def canonical_milli(text: str) -> str:
    """Return the form of an amount in a ResourceList, which rounds up to thousandths."""
    amount = parse(text)
    milli = amount.value.quantize(_MILLI, rounding=ROUND_UP, context=_WIDE)
    if milli == amount.value:
        return canonical(text)
    return _write(Amount(milli, amount.format, exact=False))


def _write(amount: Amount) -> str:
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
    nanos, power = int(value.scaleb(9, context=_WIDE)), -9
    while nanos % 1000 == 0 and (exponent or power < 18):  # noqa: PLR2004 - exa is the largest
        nanos, power = nanos // 1000, power + 3
    if exponent:
        return f"{nanos}e{power}" if power else str(nanos)
    return f"{nanos}{_DECIMAL_SUFFIX[power]}"


def decode(value: Any) -> str:
    """Return the canonical text of a JSON value; numbers count as their text, null as zero.

    Raises `QuantityError`.
    """
    return canonical(value if type(value) is str else _text(value))


def decode_milli(value: Any) -> str:
    """Return the text of a JSON value in a ResourceList, as `decode` but in thousandths."""
    return canonical_milli(value if type(value) is str else _text(value))


def _text(value: Any) -> str:
    if value is None:
        return "0"
    return repr(value) if type(value) in (int, float) else ""


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


def total(texts: Iterable[str]) -> str:
    """Return the sum in the family of the first that is not zero (Quantity.Add)."""
    amounts = [parse(text) for text in texts]
    form: Format = next((amount.format for amount in amounts if amount.value), "decimal")
    value = sum((amount.value for amount in amounts), Decimal(0))
    return _write(Amount(value, form, exact=False))


def write(value: Decimal, like: str) -> str:
    """Return a value in the family of the quantity `like`."""
    return _write(Amount(value, parse(like).format, exact=False))
