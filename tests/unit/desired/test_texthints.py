# ruff: noqa: E501 - a case stands on one line
import pytest

from reconciler.desired.texthints import text_hint, value_hint


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("apiVersion:v1\nkind: Pod\n", 2, 'line 1: write "apiVersion: ..." with a space after the colon'),
        ("password:hunter2\n", 1, 'write "password: ..." with a space after the colon'),
        ("// a pod\nkind: Pod\n", 2, "line 1: a comment starts with #, not //"),
        ("kind: Pod\n\tname: x\n", 2, "indent with spaces: YAML allows no tabs there"),
        ("kind: “Pod”\n", 1, "write plain quotes, not typographic ones"),
        ("kind:\u00a0Pod\n", 1, "write plain spaces, not no-break ones"),
        ("```yaml\nkind: Pod\n", 1, "remove the code fence: it is Markdown, not YAML"),
        ("<<<<<<< HEAD\nkind: Pod\n", 1, "a merge conflict was committed: resolve it"),
        ("-name: x\n", 1, 'write "- " with a plain hyphen and a space'),
        ("name: {{ .Values.name }}\n", 1, "{{ }} is a template: render it before you commit it"),
        ("image: registry:5000/x\nurl: http://host/x\n", 2, ""),
        ("a: b\n", 99, ""),
        ("", 1, ""),
    ],
)  # fmt: skip
def test_hints(text: str, line: int, hint: str) -> None:
    assert text_hint(text.encode(), line) == hint


def test_values() -> None:
    assert value_hint("“web”") == "the value has typographic quotes: write plain ones"
    assert value_hint("nginx // the server") == "a comment starts with #, not //"
    assert value_hint("http://host") == ""
