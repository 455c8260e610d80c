"""Sources that never change: one that is deleted and holds nothing, one whose address is refused.

Composed in place of an adapter, which neither of them needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from reconciler.core.clock import Clock
from reconciler.source.snapshot import FileRef, Snapshot, SourceProblem

DELETED = "deleted"
"""The revision of a source that is deleted."""


def nothing_left(clock: Clock) -> StillSource:
    """Return a source that has one empty tree."""
    words = "The source is deleted: what came from it goes"
    return StillSource(Snapshot(DELETED, "", clock.now(), words, {}, _NoFiles()))


def refused(message: str, clock: Clock) -> StillSource:
    """Return a source that cannot be read, for `message`, until its object is changed."""
    return StillSource(SourceProblem("AddressRefused", message, clock.now()))


class StillSource:
    """A `Source` that is always in one state."""

    def __init__(self, state: Snapshot | SourceProblem) -> None:
        self._state = state

    async def snapshots(self) -> AsyncIterator[Snapshot | SourceProblem]:
        """Yield the state, and nothing after it."""
        yield self._state
        await asyncio.Event().wait()

    def trigger(self) -> None:
        """There is nothing to look at."""

    def look(self) -> None:
        """There is nothing to look at."""

    async def at(self, revision: str) -> Snapshot | None:
        """Return nothing: it has no past."""
        del revision
        return None

    def keep(self, revision: str) -> None:
        """There is nothing to remember."""

    async def close(self) -> None:
        """There is nothing to free."""


class _NoFiles:
    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        """Yield nothing."""
        del files
        return iter(())
