"""Which source a command means, when it may have been named. Called by the commands."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.errors import ReconcilerError
from reconciler.model.gitops import Source


class SourceUnclear(ReconcilerError):
    """There is no source of that name, or none was named and there are several."""


def named(sources: Sequence[Source], name: str) -> list[Source]:
    """Return the sources that `name` means: that one, or all when it is empty.

    Raises `SourceUnclear` when there is none of that name.
    """
    if not name:
        return list(sources)
    found = [each for each in sources if each.metadata.name == name]
    if not found:
        raise SourceUnclear(f"no source {name!r}; there are {_listed(sources)}")
    return found


def one(sources: Sequence[Source], name: str) -> Source:
    """Return the one source that is meant; raises `SourceUnclear`."""
    found = named(sources, name)
    if len(found) != 1:
        raise SourceUnclear(f"name the source: there are {_listed(sources)}")
    return found[0]


def _listed(sources: Sequence[Source]) -> str:
    return ", ".join(sorted(each.metadata.name for each in sources)) or "none yet"
