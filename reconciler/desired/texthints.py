"""What was probably meant where the text is no YAML, or not the YAML that was meant. Pure.

The habits of manifests copied from guides, web pages and word processors. A hint quotes keys, never
values: they may be secret (law 9).
"""

from __future__ import annotations

import re
from collections.abc import Callable

_NO_SPACE = re.compile(r"^\s*(?:- +)?([A-Za-z][\w./-]*):(?!//)[^\s:]")
_SLASH_COMMENT = re.compile(r"(^|\s)//(\s|[A-Za-z])")
_TAB = re.compile(r"^ *\t")
_TYPOGRAPHIC = re.compile("[\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb]")
_ODD_SPACE = re.compile("[\u00a0\u2007\u202f\u3000]")
_TEMPLATE = re.compile(r"\{\{")
_FENCE = re.compile(r"^\s*(```|~~~)")
_DASH = re.compile(r"^\s*(-[A-Za-z]\w*:|[\u2013\u2014] )")
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)")
_LINES_BEFORE = 3

Check = Callable[[str], str]


def text_hint(data: bytes, line: int) -> str:
    """Return the likely fix near `line` (from 1) of a file that cannot be read, or nothing.

    A mistake often shows only later, so the lines just before count, the nearest first; then
    the first line of the file that has one.
    """
    lines = data.decode("utf-8", "replace").splitlines()
    near = range(min(line, len(lines)), max(0, line - 1 - _LINES_BEFORE), -1)
    for number in (*near, *range(1, min(line, len(lines)) + 1)):
        if hint := _line_hint(lines[number - 1]):
            return hint if number == line else f"line {number}: {hint}"
    return ""


def value_hint(value: str) -> str:
    """Return the likely fix of a value that is not what it seems."""
    if _TYPOGRAPHIC.search(value):
        return "the value has typographic quotes: write plain ones"
    if _ODD_SPACE.search(value):
        return "the value has a no-break space: write a plain one"
    if _SLASH_COMMENT.search(value):
        return "a comment starts with #, not //"
    return ""


def _line_hint(line: str) -> str:
    text = line.split(" #", 1)[0]
    return next((hint for check in _CHECKS if (hint := check(text))), "")


def _conflict(line: str) -> str:
    return "a merge conflict was committed: resolve it" if _CONFLICT.match(line) else ""


def _tab(line: str) -> str:
    return "indent with spaces: YAML allows no tabs there" if _TAB.match(line) else ""


def _comment(line: str) -> str:
    return "a comment starts with #, not //" if _SLASH_COMMENT.search(line) else ""


def _quotes(line: str) -> str:
    return "write plain quotes, not typographic ones" if _TYPOGRAPHIC.search(line) else ""


def _odd_space(line: str) -> str:
    return "write plain spaces, not no-break ones" if _ODD_SPACE.search(line) else ""


def _no_space(line: str) -> str:
    found = _NO_SPACE.match(line)
    return f'write "{found[1]}: ..." with a space after the colon' if found else ""


def _dash(line: str) -> str:
    return 'write "- " with a plain hyphen and a space' if _DASH.match(line) else ""


def _fence(line: str) -> str:
    return "remove the code fence: it is Markdown, not YAML" if _FENCE.match(line) else ""


def _template(line: str) -> str:
    return "{{ }} is a template: render it before you commit it" if _TEMPLATE.search(line) else ""


_CHECKS: tuple[Check, ...] = (
    _conflict, _fence, _tab, _comment, _quotes, _odd_space, _no_space, _dash, _template,
)  # fmt: skip
