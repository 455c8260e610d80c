"""Regular expressions that a source may bring: only such as are matched fast. Pure.

Called by the kustomize room and `sops`. Go's expressions are matched in linear time; Python's are
not, so a repository could stop the daemon with one. Refused are a repeated group, references to
groups, and more than three repetitions without a bound.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LONGEST = 512
_MANY = 3
_REPEATED_GROUP = re.compile(r"\)\s*(?:[*+]|\{)")
_UNBOUNDED = re.compile(r"[*+]|,\}")
_REFERENCE = re.compile(r"\\[1-9]|\(\?P=")


class BadPattern(ValueError):
    """The text is no regular expression, or none that is matched here."""


@lru_cache(maxsize=1024)
def compiled(text: str) -> re.Pattern[str]:
    """Return the expression; raises `BadPattern`."""
    slow = (
        len(text) > _LONGEST
        or _REPEATED_GROUP.search(text)
        or _REFERENCE.search(text)
        or len(_UNBOUNDED.findall(text)) > _MANY
    )
    if slow:
        raise BadPattern(f"{text[:80]!r} repeats too much to be matched: name things more plainly")
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadPattern(f"{text[:80]!r} is no regular expression") from error
