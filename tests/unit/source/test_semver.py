import pytest

from reconciler.source.semver import BadRange, highest, parse

TAGS = ["v1.0.0", "1.2.3", "v1.2.4", "v1.3.0-rc.1", "1.3.0-rc.2", "2.0.0", "0.1.2", "0.2.0",
        "latest",
        "v10.0.0", "1.2.4+build", "v2.1.0-alpha"]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        ("*", "v10.0.0"),
        ("1.x", "v1.2.4"),
        ("1", "v1.2.4"),
        ("^1.0.0", "v1.2.4"),
        ("~1.2.3", "v1.2.4"),
        ("=1.2.3", "1.2.3"),
        ("1.2.3", "1.2.3"),
        (">=1.0 <2", "v1.2.4"),
        (">= 1.0.0, < 2.0.0", "v1.2.4"),
        (">=1.3.0-rc.0 <2.0.0", "1.3.0-rc.2"),
        ("^0.1.0", "0.1.2"),
        ("<1", "0.2.0"),
        ("^3 || ^1", "v1.2.4"),
        (">2.0.0 !=10.0.0", ""),
        (">99", ""),
    ],
)
def test_the_highest_tag_in_a_range(wanted, tag):
    found = highest(TAGS, wanted)
    assert parse(found) == parse(tag)


@pytest.mark.parametrize("text", ["nonsense", "1.2.3.4", ">", "1..2", "--upload-pack=x", "^"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(BadRange):
        highest((), text)


def test_a_pre_release_comes_before_its_release():
    order = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"]
    assert [*map(parse, order)] == sorted({parse(text) for text in order})
