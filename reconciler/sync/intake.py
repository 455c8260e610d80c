"""Which revision the loop works on: the newest that its source showed, unless a pause holds it.

Held by the loop, which asks it before each pass. It decides when a revision is let in, not what
becomes of it.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from reconciler.core.clock import Clock
from reconciler.model.gitops import Source
from reconciler.source.snapshot import Snapshot
from reconciler.sync.verdict import Verdict
from reconciler.sync.windows import paused_until


class Intake:
    """The newest revision of one source, and the one that was admitted last."""

    def __init__(self, source: str, clock: Clock, verdict: Verdict) -> None:
        self._clock = clock
        self._verdict = verdict
        self._waiting: Snapshot | None = None
        self.newest: Snapshot | None = None
        self.admitted: Snapshot | None = None
        self._readable = True
        self._log = structlog.get_logger(component="sync", source=source)

    @property
    def unseen(self) -> Snapshot | None:
        """The revision that was let in and not admitted yet."""
        return self.newest if self.newest is not self.admitted else None

    @property
    def current(self) -> bool:
        """Whether no newer revision was let in since the last one was admitted."""
        return self.newest is self.admitted

    def admit(self, snapshot: Snapshot, *, readable: bool) -> None:
        """Take the revision for admitted, whether its files could be read or not."""
        self.admitted, self._readable = snapshot, readable

    def retry(self) -> None:
        """Look once more at a revision whose files could not be read: keys may have come."""
        if self.newest is not None and not self._readable:
            self.newest = replace(self.newest)

    def show(self, seen: Snapshot) -> None:
        """Take in what the source shows; the revision before it may never have been looked at."""
        passed = self._waiting or self.newest
        if passed is not None and passed is not self.admitted and self._verdict.overtaken(passed):
            self._log.info("revision.superseded", revision=passed.revision)
        self._waiting = seen

    def again(self, inputs: str) -> None:
        """Look at the newest revision once more, because its variables are others now."""
        if self.newest is not None:
            self.newest = replace(self.newest, inputs=inputs)
        if self._waiting is not None:
            self._waiting = replace(self._waiting, inputs=inputs)

    def take_up(self, source: Source | None, *, asked: bool, applied: str) -> float:
        """Let the revision that waits in, unless a pause holds; return for how many seconds.

        Neither what a person asks for waits, nor the revision that is `applied` already.
        """
        waits, now = self._waiting, self._clock.now()
        if waits is None:
            return 0.0
        until = paused_until(source, now)
        if until is not None and not asked and waits.revision != applied:
            self._verdict.paused(waits.revision, until)
            return (until - now).total_seconds() + 0.01
        self.newest, self._waiting = waits, None
        return 0.0
