"""A log line is an interface: each event that the program can log stands in docs/logs.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
EVENT = re.compile(r"[a-z]+(\.[a-z_]+)+")


def _logged() -> Iterator[tuple[str, str]]:
    """Yield each event name that is passed to a logger as a literal, and its file."""
    for path in sorted((ROOT / "reconciler").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
            ):
                for argument in node.args[:1]:
                    for literal in ast.walk(argument):
                        if isinstance(literal, ast.Constant) and isinstance(literal.value, str):
                            yield literal.value, str(path.relative_to(ROOT))


def test_every_logged_event_is_documented():
    page = (ROOT / "docs" / "logs.md").read_text()
    documented = set(re.findall(r"`([a-z]+(?:\.[a-z_]+)+)`", page))
    logged = {(event, path) for event, path in _logged() if EVENT.fullmatch(event)}
    assert len(logged) > 30
    assert sorted(each for each in logged if each[0] not in documented) == []
