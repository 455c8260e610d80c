# ruff: noqa: E501 - a case stands on one line
import pytest

from reconciler.desired.limits import ReadLimits
from reconciler.desired.yaml import Fault, Parsed, parse

LIMITS = ReadLimits()


def _parse(text: str, limits: ReadLimits = LIMITS) -> Parsed:
    return parse(text.encode(), limits)


def _value(text: str) -> object:
    parsed = _parse(text)
    assert parsed.faults == ()
    (document,) = parsed.documents
    return document.value


def _faults(text: str, limits: ReadLimits = LIMITS) -> list[tuple[int, int, str]]:
    return [(each.line, each.column, each.message) for each in _parse(text, limits).faults]


def test_blocks_flows_quotes_and_tags() -> None:
    text = (
        "a: 'yes'\nb: [1, \"2\", {c: ~}]\nd: !!str 5\ne: |\n  x\n  y\nf: !!binary aGk=\n'on': 1\n"
    )
    assert _value(text) == {
        "a": "yes", "b": [1, "2", {"c": None}], "d": "5", "e": "x\ny\n", "f": "hi", "on": 1,
    }  # fmt: skip


def test_documents_have_their_number_and_place_and_empty_ones_are_left_out() -> None:
    parsed = _parse("# nothing\n---\na: 1\n---\n---\n  b: 2\n...\n")
    assert [(each.index, each.value, each.line, each.column) for each in parsed.documents] == [
        (0, {"a": 1}, 3, 1),
        (2, {"b": 2}, 6, 3),
    ]


def test_the_items_of_a_list_have_their_places() -> None:
    parsed = _parse("kind: List\nother: [1, 2]\nitems:\n- a: [1, 2]\n- b: 2\nlast: [3]\n")
    assert parsed.documents[0].items == ((4, 3), (5, 3))


def test_anchors_and_merges() -> None:
    text = "a: &x {b: 1, c: 2}\nd: *x\ne:\n  c: 3\n  <<: *x\nf:\n  <<: [{c: 9}, *x]\n"
    assert _value(text) == {
        "a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}, "e": {"c": 3, "b": 1}, "f": {"c": 9, "b": 1},
    }  # fmt: skip


def test_all_duplicate_keys_are_told_and_the_last_value_stays() -> None:
    parsed = _parse("a: 1\nb: {c: 1, 'c': 2}\na: 2\n")
    assert parsed.faults == (
        Fault('duplicate key "c"', 2, 11),
        Fault('duplicate key "a"', 3, 1),
    )
    assert parsed.documents[0].value == {"a": 2, "b": {"c": 2}}


def test_keys_of_one_json_text_are_duplicates() -> None:
    assert _faults("1: a\n'1': b\n") == [(2, 1, 'duplicate key "1"')]


def test_documents_before_a_syntax_error_are_kept() -> None:
    parsed = _parse("a: 1\n---\nb: c: d\n")
    assert [each.value for each in parsed.documents] == [{"a": 1}]
    assert [(each.line, each.column, each.syntax) for each in parsed.faults] == [(3, 5, True)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("? [a]\n: b\n", (1, 3, "a key must be a scalar, not a mapping or a list")),
        ("a: 1\n~: 2\n", (2, 1, "a key must not be empty or null")),
        ("a: .nan\n", (1, 4, ".nan is no number that JSON can hold")),
        ("a: !foo x\n", (1, 4, "the value cannot be read as !foo: only YAML's own scalar tags are read")),
        ("a: !!int x\n", (1, 4, "the value cannot be read as !!int")),
        ("a: !foo {}\n", (1, 4, "tag !foo is not read: only plain mappings and lists are")),
        ("a: *x\n", (1, 4, "alias *x has no anchor before it")),
        ("a: &x [*x]\n", (1, 8, "alias *x is inside its own anchor")),
        ("<<: 5\n", (1, 1, "<< takes a mapping or a list of mappings")),
        ("a: \x01\n", (1, 4, "character #x01: control characters are not allowed")),
    ],
)  # fmt: skip
def test_what_json_cannot_hold_or_yaml_does_not_allow(
    text: str, fault: tuple[int, int, str]
) -> None:
    assert _faults(text) == [fault]


def test_text_that_is_not_utf8() -> None:
    (fault,) = parse(b"a: b\nc: \xff\n", LIMITS).faults
    assert (fault.line, fault.column) == (2, 4)


def test_nesting_is_bounded() -> None:
    limits = ReadLimits(depth=3)
    assert _faults("[[[1]]]", limits) == []
    assert _faults("[[[[1]]]]", limits) == [(1, 4, "nested deeper than 3 levels")]
    assert _faults("[" * 1_000_000)[0][2] == "nested deeper than 64 levels"


def test_documents_are_bounded() -> None:
    assert _faults("---\na: 1\n" * 3, ReadLimits(documents=2)) == [(5, 1, "more than 2 documents")]


def test_values_are_bounded() -> None:
    assert _faults("- [1, 2]\n" * 10, ReadLimits(nodes=5)) == [
        (4, 3, "the document has more than 5 values")
    ]


def test_an_alias_bomb_is_stopped() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
    )
    assert [message for _, _, message in _faults(bomb)] == [
        "aliases expand to more than 100000 values"
    ]


def test_faults_are_bounded() -> None:
    faults = _faults("a: 1\n" * 1000)
    assert len(faults) == 101
    assert faults[-1][2] == "too many faults: the rest of the file is not read"
