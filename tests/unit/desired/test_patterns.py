import pytest

from reconciler.desired.patterns import BadPattern, compiled


@pytest.mark.parametrize(
    "text", ["nginx", "web|api", "web-.*", "^(data|stringData)$", "a.+b.*", "[a-z]{2,9}"]
)
def test_plain_expressions_are_taken(text):
    assert compiled(text).pattern == text


@pytest.mark.parametrize(
    "text", ["(a+)+$", "(a|a)*", "(a){9,}", ".*.*.*.*x", r"(a)\1", "(?P<n>a)(?P=n)", "(", "x" * 600]
)
def test_what_could_take_long_is_refused(text):
    with pytest.raises(BadPattern):
        compiled(text)
