"""Reading the recorded answers of a real kube-apiserver, and comparing ours with them.

`own/` holds the answers; how to compare is told in the functions below. What is free in a message
is made alike on both sides first: Go values, and a parser's own words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

OWN = Path(__file__).parent / "own"

_GO_VALUES = re.compile(
    r"(?:\[\])?(?:core|v1|resource)\.\w+\{.*?\}(?=: |, spec|\]$|$)"
    r"|map\[string\]string\{[^{}]*\}|\[\]string\{[^{}]*\}|\$\{generated1\}|Gen_\w+"
)
_PARSER_WORDS = re.compile(r"(<secret contents redacted>\"): .*")


@dataclass(frozen=True)
class Recorded:
    """One request and its recorded answer; `steps` has all of a longer vector."""

    name: str
    request: dict[str, Any]
    response: dict[str, Any]
    steps: tuple[dict[str, Any], ...]

    @property
    def area(self) -> str:
        return self.name.partition("/")[0]


def recorded(file: str) -> Iterator[Recorded]:
    for vector in json.loads((OWN / file).read_text())["vectors"]:
        steps = tuple(vector.get("steps", (vector,)))
        filled = tuple(_fill(step) for step in steps)
        yield Recorded(vector["name"], filled[0]["request"], filled[0]["response"], filled)


def _fill(value: Any) -> Any:
    """Put plain values where a placeholder would not parse as what it stands for."""
    if isinstance(value, dict):
        return {_fill(key): _fill(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_fill(member) for member in value]
    if isinstance(value, str):
        if re.fullmatch(r"\$\{port\d+\}", value):
            return 30000
        value = value.replace("${ns}", "test-ns").replace("${time}", "2026-01-01T00:00:00Z")
    return value


def without_free_text(message: str) -> str:
    return _PARSER_WORDS.sub(r"\1", _GO_VALUES.sub("<value>", message))


def outcome(code: int, body: dict[str, Any]) -> tuple[Any, ...]:
    """Return what of an answer must be equal."""
    if code < 300:
        return (code,)
    details = body.get("details", {})
    return (
        code,
        body.get("reason"),
        without_free_text(body["message"]),
        {key: details.get(key, "") for key in ("kind", "group")},
        tuple((cause.get("reason"), cause.get("field")) for cause in details.get("causes", ())),
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test with a `vector` argument each vector of its module's FILES that it wants."""
    if "vector" not in metafunc.fixturenames:
        return
    module = metafunc.module
    cases = []
    for file in module.FILES:
        for vector in filter(getattr(module, "wanted", None), recorded(file)):
            reason = module.EXCLUDED.get(vector.name)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            cases.append(pytest.param(vector, id=vector.name, marks=marks))
    metafunc.parametrize("vector", cases)


@pytest.fixture(name="outcome")
def outcome_fixture() -> Any:
    return outcome


@pytest.fixture(name="recorded")
def recorded_fixture() -> Any:
    return recorded
