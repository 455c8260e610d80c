# ruff: noqa: E501 - a table of cases
"""Any JSON value, written by PyYAML in any style, comes back as it was."""

import json
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.desired import blocks
from reconciler.desired import json as desired_json
from reconciler.desired import yaml as desired_yaml
from reconciler.desired.limits import ReadLimits

LIMITS = ReadLimits()
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"),
    max_size=12,
)
WORDS = st.sampled_from(["yes", "0755", "1e3", "null", "~", "<<", "=", "on", "a: b", "# x", "- y"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT | WORDS
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: number % 1 != 0)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | WORDS, inner, max_size=4),
    max_leaves=20,
)


class _Quoting(yaml.SafeDumper):
    """Quotes every string, so that only the structure and the numbers are at stake."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@given(VALUES, st.booleans())
@settings(max_examples=300)
def test_yaml_comes_back(value: Any, flow: bool) -> None:
    text = yaml.dump(value, Dumper=_Quoting, default_flow_style=flow, allow_unicode=True)
    parsed = desired_yaml.parse(text.encode(), LIMITS)
    assert parsed.faults == ()
    assert [each.value for each in parsed.documents] == ([] if value is None else [value])


@given(VALUES)
def test_json_comes_back_from_both_readers(value: Any) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()
    assert desired_json.parse(data, LIMITS).documents[0].value == value
    if value is not None:
        assert desired_yaml.parse(data, LIMITS).documents[0].value == value


LINES = st.lists(
    st.builds(
        lambda indent, dash, body: " " * indent + dash + body,
        st.integers(0, 6),
        st.sampled_from(["", "", "- ", "-", "-  ", "? "]),
        st.sampled_from(
            ["a:", "b:", "c: x", "a: 1", "b: 'q: r'", 'c: ""', "a: {}", "b: []", "c: x y", "d: x:y",
             "d: x # c", "# c", "", "x", "'q'", "a:b", "a: b: c", "a: - b", "---", "a: x #", "a: *x",
             "a : b", "on: off", "a: &x y", "1: 2", "a: [x]", "--- ", "...", "a: .inf", "a: |", "a:  x",
             "a: -x", "a: x  y", "a: x ", "a:\t", '"a": b', "a: '", "items:", "a: x#y", "a: ~",
             "--x", "--x=y", "-1", "a: -1", "a: --x", "- y", "--- x", "[]", "{}", "a: [x, y]", "a: [x,y]",
             "a: ['x' , \"y\", -1, on, ~ ]", "a: [x: y]", "a: [x:y]", "a: [x, ]", "a: [,]", "a: [[x]]", "a: [x]y",
             "a: [x] # c", "a: {b: c}", "{b: 'c', d: [x]}", "{b: c, b: d}", "{b: 1,c: .inf}", "{b:c}", "{b: c,}",
             "a: [x y]", "a: [- x]", "a: [--x, a#b, a #b]", "a: ['x'y]", "a: [x", "a: [on]", "{on: c}", "{~: c}"]
        ),
    ),
    max_size=8,
)  # fmt: skip


@given(LINES, st.sampled_from(["\n", "\n", "\r\n"]), st.booleans())
@settings(max_examples=2000)
def test_the_fast_reader_means_what_libyaml_means(lines: list[str], end: str, last: bool) -> None:
    data = (end.join(lines) + (end if last else "")).encode()
    fast = blocks.parse(data, LIMITS)
    if fast is not None:
        slow = desired_yaml.parse_events(data, LIMITS)
        assert slow.faults == ()
        assert fast == [(each.index, each.value, each.line) for each in slow.documents]


@given(VALUES, st.integers(2, 4), st.booleans())
@settings(max_examples=500)
def test_the_fast_reader_agrees_on_what_pyyaml_writes(
    value: Any, indent: int, indented: bool
) -> None:
    text = yaml.safe_dump({"a": value}, indent=indent, default_flow_style=False)
    if indented:
        text = text.replace("\n- ", "\n  - ")
    data = text.encode()
    fast = blocks.parse(data, LIMITS)
    if fast is not None:
        slow = desired_yaml.parse_events(data, LIMITS)
        assert slow.faults == ()
        assert fast == [(each.index, each.value, each.line) for each in slow.documents]


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=500)
def test_no_bytes_crash_a_reader(data: bytes) -> None:
    for parse in (desired_yaml.parse, desired_json.parse):
        parsed = parse(data, LIMITS)
        assert all(fault.line >= 1 and fault.column >= 1 for fault in parsed.faults)
