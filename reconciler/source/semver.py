"""Semantic versions and ranges of them, as tags have them. Pure.

A range is comparisons that all have to hold, by spaces or commas (">=1.2 <2"), or several of those
by "||". "^1.2" and "~1.2" are npm's, "1.x" is any 1. A pre-release fits only a range
that names one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

_VERSION = re.compile(
    r"^v?(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:\.(?P<patch>\d+))?"
    r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$"
)
_PART = re.compile(r"^(?P<op>\^|~|>=|<=|!=|>|<|=)?\s*v?(?P<version>[\dxX*][0-9A-Za-z.*+-]*)$")
_WILD = ("x", "X", "*")
_LONGEST = 256


class BadRange(ValueError):
    """The text is no range of versions."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A version; build metadata does not count. A pre-release comes before its release."""

    numbers: tuple[int, int, int]
    pre: tuple[str, ...] = ()

    def __lt__(self, other: Version) -> bool:
        return bool(self._key() < other._key())

    def _key(self) -> Any:
        parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre)
        return self.numbers, not self.pre, parts


def parse(text: str) -> Version | None:
    """Return the version that a tag is named for, or `None`."""
    found = _VERSION.match(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    numbers = (int(found["major"]), int(found["minor"] or 0), int(found["patch"] or 0))
    return Version(numbers, tuple(found["pre"].split(".")) if found["pre"] else ())


def highest(tags: Iterable[str], wanted: str) -> str:
    """Return the tag with the highest version in a range, or nothing; raises `BadRange`."""
    ranges = [_bounds(each) for each in wanted.split("||")]
    versions = ((parse(tag), tag) for tag in tags)
    fitting = [
        (version, tag)
        for version, tag in versions
        if version is not None and any(_fits(version, bounds) for bounds in ranges)
    ]
    return max(fitting)[1] if fitting else ""


Bound = tuple[str, Version]


def _bounds(text: str) -> list[Bound]:
    joined = re.sub(r"([<>=~^!]+)\s+", r"\1", text.strip())
    return [bound for part in re.split(r"[\s,]+", joined) if part for bound in _bound(part)]


def _bound(part: str) -> list[Bound]:
    found = _PART.match(part)
    if found is None:
        raise BadRange(f"{part!r} is no version range")
    operator, text = found["op"] or "", found["version"]
    given = [n for n in text.partition("-")[0].split(".") if n not in _WILD]
    if not given:
        return []
    version = parse(".".join(given) + (f"-{text.partition('-')[2]}" if "-" in text else ""))
    if version is None:
        raise BadRange(f"{part!r} is no version range")
    partial = len(given) < 3  # noqa: PLR2004 - major, minor, patch
    if operator in ("^", "~") or (operator in ("", "=") and partial):
        return [(">=", version), ("<", _next(version, operator, len(given)))]
    return [(operator or "=", version)]


def _next(version: Version, operator: str, given: int) -> Version:
    """Return the first version past what `^`, `~` or a partial version takes in."""
    major, minor, patch = version.numbers
    if operator == "^" and major == 0 and given > 1:
        patched = minor == 0 and given > 2  # noqa: PLR2004 - the patch is named
        return Version((0, 0, patch + 1) if patched else (0, minor + 1, 0), ("0",))
    if operator == "^" or given == 1:
        return Version((major + 1, 0, 0), ("0",))
    return Version((major, minor + 1, 0), ("0",))


def _fits(version: Version, bounds: list[Bound]) -> bool:
    named = any(bound.pre and bound.numbers == version.numbers for _, bound in bounds)
    if version.pre and not named:
        return False
    return all(_holds(version, operator, bound) for operator, bound in bounds)


def _holds(version: Version, operator: str, bound: Version) -> bool:
    return {
        "=": version == bound, "!=": version != bound, ">": version > bound,
        ">=": version >= bound, "<": version < bound, "<=": version <= bound,
    }[operator]  # fmt: skip
