import math

import pytest

from reconciler.desired.scalars import PlainKeys, PlainValues, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("nUll", "nUll"),
        ("true", True), ("yes", True), ("On", True), ("y", True), ("off", False), ("N", False),
        ("0", 0), ("42", 42), ("-7", -7), ("+7", 7), ("1_000", 1000),
        ("0755", 493), ("0o17", 15), ("0x1F", 31), ("-0b11", -3),
        ("08", 8), ("1.0", 1), ("1e3", 1000), ("0.5", 0.5), (".5", 0.5), ("-1.5e-1", -0.15),
        ("18446744073709551615", 2**64 - 1), ("18446744073709551616", 2.0**64),
        ("100m", "100m"), ("1.2.3", "1.2.3"), ("12:30:45", "12:30:45"), ("-", "-"), ("+", "+"),
        ("2024-01-01", "2024-01-01"), ("0x", "0x"), ("1e", "1e"), (".", "."), ("._5", "._5"),
        (".inf", math.inf), ("-.INF", -math.inf),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_kubernetes_reads(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_a_very_long_number_is_a_string() -> None:
    assert resolve("1" * 5000) == "1" * 5000


def test_keys_are_strings() -> None:
    keys = PlainKeys()
    assert [keys[text] for text in ("a", "1", "on", "1.50", "~")] == ["a", "1", "true", "1.5", None]


def test_the_cache_is_bounded_in_length() -> None:
    values = PlainValues()
    assert values["x" * 65] == "x" * 65
    assert values["x"] is values["x"]
    assert set(values) == {"x"}
