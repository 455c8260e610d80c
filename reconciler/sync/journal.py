"""Source and Revision objects: what `status` and `history` read.

Called by the loop, which tells it what happened; it never waits for the API there. One task writes
behind, newest state only, so that the record costs a sync nothing. It decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

import structlog

from reconciler.client.protocol import ApiError, Client, NotFound
from reconciler.core.clock import Clock
from reconciler.model.gitops import (
    Revision,
    RevisionPhase,
    RevisionStatus,
    Source,
    SourceSpec,
)
from reconciler.model.meta import ObjectMeta
from reconciler.model.time import format_time, parse_time
from reconciler.source.snapshot import Snapshot, SourceProblem
from reconciler.sync import lifecycle
from reconciler.sync.lifecycle import Particulars, stands_for

_PACE_SECONDS = 0.1
_RETRY_SECONDS = 1.0
_MANAGER = "reconciler-sync"


class Journal:
    """The record of one source; `keep` revisions of it are remembered."""

    def __init__(
        self, client: Client, clock: Clock, name: str, spec: SourceSpec, *, keep: int = 50
    ) -> None:
        self._client = client
        self._clock = clock
        self.name = self._name = name
        self._keep = keep
        self._source = Source(metadata=ObjectMeta(name=name), spec=spec)
        self._revisions: dict[str, Revision] = {}
        self._entered: dict[str, float] = {}
        self._forget: dict[str, None] = {}
        self._unwritten: dict[str, Source | Revision] = {}
        self._wake = asyncio.Event()
        self._log = structlog.get_logger(component="sync", source=name)

    @property
    def source(self) -> Source:
        """The source as it stands, written or not."""
        return self._source

    def open(self, stored: Source | None, revisions: Iterable[Revision]) -> None:
        """Take over what an earlier run left, so that its revisions go on."""
        if stored is not None:
            self._source = self._source.replace(status=stored.status)
        self._revisions = {each.metadata.name: each for each in revisions}

    async def run(self) -> None:
        """Write behind until cancelled, at most every 0.1 s: a rollout's steps pass quickly."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.flush()
                await asyncio.sleep(_PACE_SECONDS)
            except ApiError as error:
                self._log.warning("journal.retry", reason=error.message)
                await asyncio.sleep(_RETRY_SECONDS)
                self._wake.set()

    async def flush(self) -> None:
        """Write all that is not yet written; what the API refuses stays, and is raised last."""
        refused: ApiError | None = None
        for name, obj in list(self._unwritten.items()):
            try:
                await self._write(obj)
            except ApiError as error:
                refused = error
            else:
                if self._unwritten.get(name) is obj:
                    del self._unwritten[name]
        for name in list(self._forget):
            await self._delete(name)
            del self._forget[name]
        if refused is not None:
            raise refused

    def begin(self, snapshot: Snapshot) -> str:
        """Return the name of the Revision of `snapshot`, a new one unless it is the newest known.

        The one before is marked as superseded when it was still on its way.
        """
        newest = max(self._revisions.values(), key=lambda r: r.spec.sequence, default=None)
        if newest is not None and stands_for(newest, snapshot.revision, snapshot.inputs):
            self._entered.setdefault(newest.metadata.name, self._clock.monotonic())
            return newest.metadata.name
        sequence = 1
        if newest is not None:
            sequence = newest.spec.sequence + 1
            self._replace(lifecycle.supersede(newest, snapshot.revision))
        time = format_time(snapshot.time)
        revision = lifecycle.new_revision(self._name, snapshot, sequence, time)
        self._entered[revision.metadata.name] = self._clock.monotonic() - snapshot.seconds
        self._replace(revision)
        self._trim()
        return revision.metadata.name

    def reach(
        self,
        name: str,
        phase: RevisionPhase,
        message: str = "",
        more: Particulars | None = None,
    ) -> bool:
        """Record that the revision `name` entered `phase`; return whether that is news."""
        before = self._revisions[name]
        now = self._clock.monotonic()
        seconds = now - self._entered.get(name, now)
        after = lifecycle.advance(
            before, phase, format_time(self._clock.now()), seconds=seconds, message=message,
            more=more,
        )  # fmt: skip
        self._replace(after)
        if after.status.phase != before.status.phase:
            self._entered[name] = now
        return after.status.phase != before.status.phase

    def roll_back(self, failed: str, revision: str) -> str:
        """Return the name of a new Revision that brings `revision` back after `failed`.

        One that does so already is taken up again (a restart).
        """
        ordered = sorted(self._revisions.values(), key=lambda r: r.spec.sequence)
        newest, undone = ordered[-1], self._revisions[failed]
        if newest.spec.rollback_of == failed and newest.spec.revision == revision:
            self._entered.setdefault(newest.metadata.name, self._clock.monotonic())
            return newest.metadata.name
        good = next((r for r in reversed(ordered) if r.spec.revision == revision), None)
        made = lifecycle.rollback_of(undone, good, revision, newest.spec.sequence + 1)
        self._entered[made.metadata.name] = self._clock.monotonic()
        self._replace(made)
        self._trim()
        return made.metadata.name

    def begun(self, name: str) -> datetime | None:
        """Return when the Revision `name` entered its first phase; None when that is not known."""
        times = (step.time for step in self._revisions[name].status.steps)
        first = next(times, None)
        return parse_time(first) if first else None

    def quarantined(self, snapshot: Snapshot) -> str:
        """Return the name of the Revision by which a snapshot was tried in vain, or ""."""
        known = self._revisions.values()
        if not lifecycle.quarantined(known, snapshot.revision, snapshot.inputs):
            return ""
        mine = (r for r in self._revisions.values() if not r.spec.rollback_of)
        return max(mine, key=lambda r: r.spec.sequence).metadata.name

    def record(self, revision: str) -> str:
        """Return the name of the newest Revision that stands for `revision`, or ""."""
        mine = [r for r in self._revisions.values() if r.spec.revision == revision]
        newest = max(mine, key=lambda r: r.spec.sequence, default=None)
        return newest.metadata.name if newest is not None else ""

    def last_healthy(self, besides: str, inputs: str) -> str:
        """Return the newest revision other than `besides` that became Healthy, or "".

        One that differs by its variables alone cannot be read again, and is none.
        """
        found = lifecycle.last_healthy(self._revisions.values(), besides, inputs)
        return found.spec.revision if found and found.spec.revision != besides else ""

    def phase(self, name: str) -> RevisionPhase:
        """Return the phase of the revision `name`."""
        return self._revisions[name].status.phase

    def fetched(self, revision: str) -> None:
        """Record that the source was read and is at `revision`."""
        source, status = self._source, self._source.status
        if status.observed_revision != revision or status.failures:
            now = format_time(self._clock.now())
            source = lifecycle.with_status(
                source, observed_revision=revision, last_fetch_time=now, failures=0
            )
        self._source_is(source, "Fetched", holds=True, reason="Fetched", message="")

    def problem(self, problem: SourceProblem) -> None:
        """Record that the source cannot be read."""
        failures = self._source.status.failures + 1
        source = lifecycle.with_status(
            self._source, phase="Unreachable", message=problem.message, failures=failures
        )
        self._source_is(
            source, "Fetched", holds=False, reason=problem.reason, message=problem.message
        )

    def applied(self, revision: str) -> None:
        """Record that all of `revision` is written."""
        if self._source.status.applied_revision != revision:
            self._set_source(lifecycle.with_status(self._source, applied_revision=revision))
            self.synced()

    def conflict(self, message: str) -> None:
        """Record which objects of the source others declare too, "" when none does."""
        known = any(each.type == "Conflict" for each in self._source.status.conditions)
        if message or known:
            reason = "DeclaredTwice" if message else "NoConflict"
            self._source_is(
                self._source, "Conflict", holds=bool(message), reason=reason, message=message
            )

    def synced(self) -> None:
        """Record that every object was looked at: for a new revision, or because somebody asked."""
        now = format_time(self._clock.now())
        self._set_source(lifecycle.with_status(self._source, last_sync_time=now))

    def judged(self, phase: str, message: str) -> None:
        """Record how the source stands: the phase of its newest revision.

        What is healthy stays Unreachable as long as nobody can see whether it is the newest.
        """
        ready, source = phase == "Healthy", self._source
        if not (ready and source.status.failures):
            source = lifecycle.with_status(source, phase=phase, message=message)
        self._source_is(source, "Ready", holds=ready, reason=phase, message=message)

    def _source_is(
        self, source: Source, kind: str, *, holds: bool, reason: str, message: str
    ) -> None:
        after = lifecycle.with_condition(
            source, kind, holds=holds, reason=reason, message=message,
            at=format_time(self._clock.now()),
        )  # fmt: skip
        self._set_source(after)

    def _set_source(self, source: Source) -> None:
        if source != self._source:
            self._source = source
            self._note(source)

    def _replace(self, revision: Revision) -> None:
        name = revision.metadata.name
        if self._revisions.get(name) is not revision:
            self._revisions[name] = revision
            self._note(revision)

    def _trim(self) -> None:
        for revision in lifecycle.outdated(self._revisions.values(), self._keep):
            name = revision.metadata.name
            del self._revisions[name]
            self._entered.pop(name, None)
            self._unwritten.pop(name, None)
            self._forget[name] = None
            self._wake.set()

    def _note(self, obj: Source | Revision) -> None:
        name = obj.metadata.name if isinstance(obj, Revision) else ""
        self._unwritten[name] = obj
        self._wake.set()

    async def _write(self, obj: Source | Revision) -> None:
        if isinstance(obj, Source):
            await self._write_source(obj)
        else:
            await self._write_revision(obj)

    async def _write_source(self, obj: Source) -> None:
        try:
            live = await self._client.get(Source, self._name)
        except NotFound:
            return  # it is deleted: nobody asks any more
        status = obj.status.replace(observed_generation=live.metadata.generation)
        if live.status != status:
            await self._client.update(
                live.replace(status=status), subresource="status", manager=_MANAGER
            )

    async def _write_revision(self, obj: Revision) -> None:
        try:
            live = await self._client.get(Revision, obj.metadata.name)
        except NotFound:
            bare = obj.replace(status=RevisionStatus())
            live = await self._client.create(bare, manager=_MANAGER)
        if live.status != obj.status:
            await self._client.update(
                live.replace(status=obj.status), subresource="status", manager=_MANAGER
            )

    async def _delete(self, name: str) -> None:
        try:
            await self._client.delete(Revision, name)
        except NotFound:
            return
