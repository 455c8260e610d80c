"""The last good revision as a target, for when the newest one fails. Held by the loop.

It remembers the last Healthy target; after a restart it reads that revision from its source again.
It decides nothing and writes only the Revision that tells of the roll back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from reconciler.core.errors import Retryable
from reconciler.desired.objects import Desired, DesiredObject
from reconciler.model.meta import ObjectKey
from reconciler.source.snapshot import Snapshot, Source
from reconciler.sync.hooks import marked
from reconciler.sync.journal import Journal
from reconciler.sync.target import Target
from reconciler.sync.waves import order_of


class WayBack:
    """Where to turn back to; `load` reads a snapshot, as the loop does."""

    def __init__(
        self, source: Source, journal: Journal, load: Callable[[Snapshot], Awaitable[Desired]]
    ) -> None:
        self._source = source
        self._journal = journal
        self._load = load
        self.good: Target | None = None
        self.gone = ""
        """Why the last one that was looked for is not to be had."""

    def keep(self, target: Target) -> None:
        """Take the target for good: all of it is healthy."""
        target.proven = True
        if target is not self.good:
            self.good = target
            self._source.keep(target.revision)

    async def undo(self, target: Target) -> Target | None:
        """Return where to turn back to from a target that failed before it was ever Healthy."""
        if target.rollback or target is self.good:
            return None
        if self._journal.phase(target.record) == "Healthy":
            return None
        return await self.find(target.record, target.revision, target.inputs)

    async def find(self, failed: str, revision: str, inputs: str) -> Target | None:
        """Return the last good revision as a target, None when there is none to be had.

        `failed` is the name of the Revision to undo, `revision` with the variables `inputs` the
        state that it stands for.
        """
        good = self.good
        if good is not None and (good.revision, good.inputs) != (revision, inputs):
            found, desired = good.revision, good.desired
        else:
            found = self._journal.last_healthy(revision, inputs)
            past = await self._read(found)
            self.gone = f"the source no longer has {found[:12]}" if found and not past else ""
            if past is None:
                return None
            desired = past
        record, begun = self._journal.roll_back(failed, found), self._journal.begun(failed)
        order = order_of(desired)
        return Target(found, record, desired, rollback=True, undoes=begun, order=order)

    async def applied(self, besides: str) -> Target | None:
        """Return the revision that an earlier run applied as a target, unless it is `besides`."""
        found = self._journal.source.status.applied_revision
        record = self._journal.record(found)
        if not record or found == besides or (desired := await self._read(found)) is None:
            return None
        return Target(found, record, desired, rollback=True, order=order_of(desired))

    async def _read(self, revision: str) -> Mapping[ObjectKey, DesiredObject] | None:
        """Return what an earlier revision declares; None when that cannot be had any more."""
        snapshot = await self._source.at(revision) if revision else None
        if snapshot is None:
            return None
        try:
            read = await self._load(snapshot)
        except Retryable:  # its bytes are gone
            return None
        return marked(read.objects) if not read.problems else None
