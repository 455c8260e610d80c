"""`$(VAR)` in commands, arguments and values. Pure; Kubernetes' third_party/forked/expansion."""

from __future__ import annotations

from collections.abc import Callable


def expand(text: str, lookup: Callable[[str], str | None]) -> str:
    """Replace each `$(NAME)` by its value and `$$` by `$`.

    An unknown name stays as it is written, like anything else that begins with a dollar.
    """
    parts: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        replaced, at = _operator(text, dollar, lookup)
        parts.append(replaced)
    return "".join((*parts, text[at:]))


def _operator(text: str, dollar: int, lookup: Callable[[str], str | None]) -> tuple[str, int]:
    """Return what stands for the operator at `dollar`, and where the rest begins."""
    following = text[dollar + 1 : dollar + 2]
    if following == "$":
        return "$", dollar + 2
    end = text.find(")", dollar)
    if following != "(" or end < 0:
        return text[dollar : dollar + 1] + following, dollar + 1 + len(following)
    value = lookup(text[dollar + 2 : end])
    return text[dollar : end + 1] if value is None else value, end + 1
