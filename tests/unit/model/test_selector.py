import pytest

from reconciler.model import selector
from reconciler.model.selector import LabelSelector, Requirement, Selector

WEB = {"app": "web", "tier": "front", "size": "3"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier!=back", True),
        ("app in (api, web)", True),
        ("app notin (api)", True),
        ("absent notin (x)", True),
        ("absent!=x", True),
        ("app,!absent", True),
        ("!app", False),
        ("absent", False),
        ("app=api", False),
        ("app in (api)", False),
        ("size>2,size<4", True),
        ("size>3", False),
        ("app>1", False),
        ("absent=", False),
        ("x in ()", False),
    ],
)
def test_matching(text: str, matches: bool) -> None:
    assert selector.parse(text).matches(WEB) is matches


@pytest.mark.parametrize(
    "text", ["a=b=c", "a in b", "a in (b", ",a", "a,", "a,,b", "=a", "a b", "!", "a>b", "(a)"]
)
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(selector.SelectorError):
        selector.parse(text)


def test_writing_and_reading_are_inverse() -> None:
    text = "a=1,b!=2,c in (x,y),d notin (z),e,!f,g>3"
    assert str(selector.parse(text)) == text
    assert selector.parse(str(selector.parse(text))) == selector.parse(text)


def test_requirements_are_sorted_by_key() -> None:
    assert str(selector.parse("b=1,a=2")) == "a=2,b=1"


def test_typed_selectors() -> None:
    typed = LabelSelector.model_validate_json(
        b'{"matchLabels":{"app":"web"},'
        b'"matchExpressions":[{"key":"tier","operator":"In","values":["front","back"]},'
        b'{"key":"absent","operator":"DoesNotExist"}]}'
    )
    assert selector.from_label_selector(typed).matches(WEB)
    assert not selector.from_label_selector(typed).matches({"app": "web", "tier": "x"})


def test_an_absent_selector_takes_nothing_and_an_empty_one_everything() -> None:
    assert not selector.matches_label_selector(None, WEB)
    assert selector.matches_label_selector(LabelSelector(), WEB)
    assert selector.from_map({"app": "web"}) == Selector((Requirement("app", "=", ("web",)),))


def test_field_selectors() -> None:
    fields = {"metadata.name": "a,b", "spec.nodeName": "n1"}
    assert selector.parse_fields(r"metadata.name=a\,b,spec.nodeName!=n2").matches(
        fields.__getitem__
    )
    assert not selector.parse_fields("spec.nodeName==n2").matches(fields.__getitem__)
    assert selector.parse_fields("").matches(fields.__getitem__)
    with pytest.raises(selector.SelectorError):
        selector.parse_fields("metadata.name")
