# ruff: noqa: E501 - a case stands on one line
from pathlib import Path

import pytest

from reconciler.desired.blocks import parse
from reconciler.desired.limits import ReadLimits
from reconciler.desired.yaml import parse_events

LIMITS = ReadLimits(depth=5, documents=3)
ROOT = Path(__file__).parents[3]


def _parse(text: str) -> list[tuple[int, object, int]] | None:
    return parse(text.encode(), LIMITS)


def test_mappings_lists_and_comments() -> None:
    text = "# top\n\na:  # nested\n  b: 'x'\n  c:\n  - d: 1\n    e: \"\"\n  - f\n  -g:\n"
    assert _parse(text) is None  # "-g:" is a key, which is left to libyaml
    assert _parse(text.replace("  -g:\n", "h: {}\ni:\n")) == [
        (0, {"a": {"b": "x", "c": [{"d": 1, "e": ""}, "f"]}, "h": {}, "i": None}, 3)
    ]


def test_flow_collections_of_scalars_and_what_starts_with_dashes() -> None:
    text = "a: [sh, -c, 'x y', \"0\", 1]\nb: {c: d, e: 'f'}\ng:\n- --listen=:80\n- -1\n- {h: on}\n"
    assert _parse(text) == [
        (0, {"a": ["sh", "-c", "x y", "0", 1], "b": {"c": "d", "e": "f"},
             "g": ["--listen=:80", -1, {"h": True}]}, 1)
    ]  # fmt: skip


def test_documents() -> None:
    assert _parse("---\na: 1\n---\n---\nb: 2") == [(0, {"a": 1}, 2), (2, {"b": 2}, 5)]
    assert _parse("# nothing\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n", "a: b\n  c: d\n", "a:\n    b: 1\n  c: 2\n", "a: |\n  x\n", "a: [[1]]\n", "a: {b: c, b: d}\n",
        "a: b\n  more\n", "a: &x b\n", "a:\tb\n", "a: \u00e9\n", "- a\n", "  a: 1\n", "a: .inf\n",
        "items:\n- a\n", "a: b: c\n", "a: x\n...\n", "a:\n  b:\n    c:\n      d:\n        e:\n          f: 1\n",
        "---\na: 1\n" * 4, "a: 1\r\n",
    ],
)  # fmt: skip
def test_anything_else_is_left_to_libyaml(text: str) -> None:
    assert _parse(text) is None


def test_the_manifests_of_this_repository_are_read_alike() -> None:
    read_fast = 0
    for file in sorted((ROOT / "cluster-state").rglob("*.yaml")):
        data = file.read_bytes()
        fast = parse(data, ReadLimits())
        if fast is not None:
            read_fast += 1
            slow = parse_events(data, ReadLimits())
            assert fast == [(each.index, each.value, each.line) for each in slow.documents]
    assert read_fast
