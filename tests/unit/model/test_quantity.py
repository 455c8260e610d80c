from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import quantity

CANONICAL = {
    "0.5": "500m", "1000m": "1", "1024Mi": "1Gi", "1.5Gi": "1536Mi", "1500": "1500", "1000": "1k",
    "0.0001": "100u", "12e6": "12e6", "-1.5": "-1500m", "1Ki": "1Ki", "0.5Ki": "512",
    "0.1Ki": "102400m", "+5": "+5", "5.": "5.", "7E18": "7E18", "00.50": "500m", "-0": "0",
    "100Ei": "9223372036854775807", "10000000000000000000": "10E", " 2k ": "2k",
}  # fmt: skip


@pytest.mark.parametrize(("text", "written"), CANONICAL.items())
def test_canonical_form(text: str, written: str) -> None:
    assert quantity.canonical(text) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", quantity.FORMAT_ERROR),
        ("abc", quantity.FORMAT_ERROR),
        ("1.2.3", quantity.FORMAT_ERROR),
        ("64MB", quantity.FORMAT_ERROR),
        ("1K", quantity.SUFFIX_ERROR),
        ("--1", quantity.SUFFIX_ERROR),
        ("1e99999", quantity.SUFFIX_ERROR),
        (".", quantity.NUMERIC_ERROR),
        ("9" * 1000, quantity.FORMAT_ERROR),
    ],
)
def test_what_is_no_quantity(text: str, message: str) -> None:
    with pytest.raises(quantity.QuantityError) as refused:
        quantity.parse(text)
    assert str(refused.value) == message


def test_resource_lists_round_up_to_thousandths() -> None:
    assert quantity.canonical_milli("100n") == "1m"
    assert quantity.canonical_milli("1.23456") == "1235m"
    assert quantity.canonical_milli("-100n") == "-1m"
    assert quantity.canonical_milli("100m") == "100m"


def test_whole_units_round_up() -> None:
    assert quantity.to_int("1500m") == 2
    assert quantity.to_int("64Mi") == 64 * 1024 * 1024
    assert quantity.to_milli("100u") == 1
    assert quantity.to_milli("2") == 2000
    assert quantity.from_milli(1500) == "1500m"
    assert quantity.from_bytes(2**30) == "1Gi"


def test_comparison_is_by_value() -> None:
    assert quantity.compare("1024Mi", "1Gi") == 0
    assert quantity.compare("999m", "1") == -1
    assert quantity.compare("1k", "999") == 1


def test_numbers_of_json_are_their_text() -> None:
    assert quantity.decode(2) == "2"
    assert quantity.decode(0.5) == "500m"
    assert quantity.decode(None) == "0"
    for other in (True, [], {}):
        with pytest.raises(quantity.QuantityError):
            quantity.decode(other)


numbers = st.decimals(
    min_value=-(10**12), max_value=10**12, places=6, allow_nan=False, allow_infinity=False
)
suffixes = st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "e3", "E-3", "u"])


@given(numbers, suffixes)
def test_writing_keeps_the_value_and_is_stable(number: Decimal, suffix: str) -> None:
    text = f"{number:f}{suffix}"
    written = quantity.canonical(text)
    assert quantity.compare(written, text) == 0
    assert quantity.canonical(written) == written
    assert quantity.canonical_milli(quantity.canonical_milli(text)) == quantity.canonical_milli(
        text
    )
