"""Query parameters: what Go reads as a number, and what it refuses."""

from __future__ import annotations

import pytest

from reconciler.apiserver.http import query
from reconciler.apiserver.registry.errors import StatusError


@pytest.mark.parametrize(
    ("text", "value"), [("", 0), ("0", 0), ("007", 7), (f"{2**64 - 1}", 2**64 - 1)]
)
def test_a_revision_is_an_unsigned_number_of_64_bits(text: str, value: int) -> None:
    assert query.revision(text) == value


@pytest.mark.parametrize("text", ["abc", "-1", "+1", "1_000", " 1", "1.0", "٣", "²", "\x00"])
def test_what_is_no_such_number_is_refused_as_kubernetes_does(text: str) -> None:
    with pytest.raises(StatusError) as refused:
        query.revision(text)
    assert refused.value.code == 500
    assert refused.value.message.startswith("resourceVersion: Invalid value: ")
    assert refused.value.message.endswith(": invalid syntax")


@pytest.mark.parametrize("text", [f"{2**64}", "9" * 5000])
def test_a_number_beyond_64_bits_is_told_as_such(text: str) -> None:
    with pytest.raises(StatusError, match="value out of range"):
        query.revision(text)


@pytest.mark.parametrize(("text", "value"), [("-5", -5), ("+007", 7), (f"{-(2**63)}", -(2**63))])
def test_an_integer_has_64_bits_and_a_sign(text: str, value: int) -> None:
    assert query.integer(text) == value


@pytest.mark.parametrize("text", ["abc", "1_0", " 1", "1.0", "٣", "--1"])
def test_what_is_no_integer_is_refused(text: str) -> None:
    with pytest.raises(StatusError, match="invalid syntax") as refused:
        query.integer(text)
    assert refused.value.code == 400


@pytest.mark.parametrize("text", [f"{2**63}", f"{-(2**63) - 1}", "9" * 5000])
def test_an_integer_beyond_64_bits_is_refused(text: str) -> None:
    with pytest.raises(StatusError, match="value out of range"):
        query.integer(text)
