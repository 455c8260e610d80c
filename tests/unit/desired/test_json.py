import pytest

from reconciler.desired.json import parse
from reconciler.desired.limits import ReadLimits

LIMITS = ReadLimits(depth=4, documents=2)


def test_one_value_or_several() -> None:
    parsed = parse(b'\xef\xbb\xbf {"a": [1, 2.5, null, true]}\n{"b": "c"}\n', LIMITS)
    assert [(each.index, each.value, each.line) for each in parsed.documents] == [
        (0, {"a": [1, 2.5, None, True]}, 1),
        (1, {"b": "c"}, 2),
    ]
    assert parsed.faults == ()


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('{"a": 1,\n "a": 2}', 2, 2, 'duplicate key "a"'),
        ('{"a" 1}', 1, 6, "Expecting ':' delimiter"),
        ('{"a": NaN}', 1, 1, "NaN is no number that JSON has"),
        ('{"a": [[[[1]]]]}', 1, 1, "nested deeper than 4 levels"),
        ("[" * 100_000, 1, 1, "nested deeper than 4 levels"),
        ("1\n2\n3", 3, 1, "more than 2 documents"),
    ],
)
def test_faults(text: str, line: int, column: int, message: str) -> None:
    (fault,) = parse(text.encode(), LIMITS).faults
    assert (fault.line, fault.column, fault.message) == (line, column, message)


def test_text_that_is_not_utf8() -> None:
    (fault,) = parse(b'{"a":\n "\xff"}', LIMITS).faults
    assert (fault.line, fault.column) == (2, 3)
