"""Addresses as the API takes them."""

from __future__ import annotations

import pytest

from reconciler.model.address import plain_ipv4


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("10.244.0.6", "10.244.0.6"),
        ("010.244.000.06", "10.244.0.6"),
        ("0.0.0.0", "0.0.0.0"),  # noqa: S104 - a text to read
        ("10.244.0", ""),
        ("10.244.0.256", ""),
        ("10.244.0.6 ", ""),
        ("0x0a.1.1.1", ""),
        ("::ffff:10.0.0.1", ""),
        ("fd00::6", ""),
        ("10.0.0.1\x00", ""),
        ("", ""),
    ],
)
def test_the_one_form_of_an_ipv4_address(text: str, plain: str) -> None:
    assert plain_ipv4(text) == plain
