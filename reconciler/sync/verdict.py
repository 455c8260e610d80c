"""How a revision stands, told to the journal and the log; every event of a revision starts here.

Called by the loop, which decides what happens next; this decides only how it is told. While the
newest revision is rejected, what runs is an older one, and the source says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.desired.problem import Problem
from reconciler.model.gitops import RevisionCasualty, RevisionError, RevisionPhase
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.source.snapshot import Snapshot
from reconciler.sync.execute import Failure
from reconciler.sync.health import Health
from reconciler.sync.journal import Journal
from reconciler.sync.lifecycle import Particulars
from reconciler.sync.narration import Narrator
from reconciler.sync.plan import Plan, Tolerated
from reconciler.sync.refusal import Locate, Refusal, placed
from reconciler.sync.report import (
    counts_of,
    describe,
    failure_errors,
    problem_errors,
    refusal_errors,
)
from reconciler.sync.rivals import Rival
from reconciler.sync.target import Target, summary

_PACE_SECONDS = 0.2


def _names(key: ObjectKey) -> dict[str, str]:
    return {"kind": key.kind, "namespace": key.namespace, "name": key.name}


class Verdict:
    """The voice of one source's loop."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        narrator: Narrator,
        live: Mapping[ObjectKey, KubeObject],
        locate: Locate | None,
    ) -> None:
        self._locate = locate
        self._journal = journal
        self._narrator = narrator
        self._live = live
        self._clock = clock
        self._rejected = False
        self._contested: Sequence[tuple[ObjectKey, Rival]] = []
        self._paused: tuple[str, datetime] | None = None
        self._next_word = 0.0
        self._log = structlog.get_logger(component="sync", source=journal.name)

    def begin(self, snapshot: Snapshot) -> str:
        """Open the record of a revision; return its name."""
        record = self._journal.begin(snapshot)
        self._journal.reach(record, "Fetched")
        if snapshot.verified:
            self._journal.reach(record, "Verified", "signed by a key that is trusted")
        return record

    def overtaken(self, snapshot: Snapshot) -> bool:
        """Open the record of a revision that a newer one takes over from; say whether it has one.

        One that is quarantined has had its record before.
        """
        if self._journal.quarantined(snapshot):
            return False
        self.begin(snapshot)
        return True

    def rendered(self, record: str, what: Sequence[str]) -> None:
        """What the revision encrypts was opened, its kustomizations were built."""
        if what:
            self._journal.reach(record, "Rendered", ", ".join(what))

    def contested(self, found: Sequence[tuple[ObjectKey, Rival]]) -> None:
        """Other sources declare objects of this one, which keeps them."""
        if found == self._contested:
            return
        self._contested = found
        for key, rival in found:
            self._log.warning("source.contested", **_names(key), by=rival.source, at=rival.place)
        told = [f'{key} is also declared by source "{r.source}" at {r.place}' for key, r in found]
        self._journal.conflict("; ".join(told))

    def validated(self, record: str) -> None:
        """Every file was read, decoded and found valid."""
        self._rejected = False
        self._journal.reach(record, "Validated")

    def unreadable(self, record: str, revision: str, problems: Iterable[Problem]) -> None:
        """Files of the revision are wrong."""
        self._reject(record, revision, problem_errors(problems))

    async def refused(self, candidate: Target, refusals: Sequence[Refusal]) -> None:
        """The revision is valid by itself but does not fit the live objects."""
        if self._locate is not None:
            wanted = candidate.desired
            refusals = await placed(refusals, candidate.revision, wanted, self._locate)
        self._reject(candidate.record, candidate.revision, refusal_errors(refusals))

    def held(self, candidate: Target, reason: str, digest: str) -> None:
        """The plan of the revision waits for a person's approval."""
        self._rejected = True
        message = f"{reason}; `reconciler approve {candidate.record}` lets it go on"
        if self._journal.reach(candidate.record, "Held", message, Particulars(plan_hash=digest)):
            self._log.warning("revision.held", revision=candidate.revision, reason=reason)
        self._journal.judged("Held", message)

    def rolled_back(
        self,
        target: Target,
        failed: Mapping[ObjectKey, Health],
        to: str,
        casualties: Sequence[RevisionCasualty],
    ) -> None:
        """The revision failed and is undone; the source holds that against it until it moves."""
        reason = summary(failed) or "the API refused a write"
        message = f"rolled back to {to[:12]}: {reason}"
        self._journal.reach(
            target.record, "RolledBack", message, Particulars(casualties=casualties)
        )
        self._log.error("revision.rolledback", revision=target.revision, reason=reason, to=to)
        self.quarantined(message)

    def quarantined(self, message: str) -> None:
        """The newest revision is not followed, for it failed before."""
        self._rejected = True
        self._journal.judged("RolledBack", message)

    def paused(self, revision: str, until: datetime) -> None:
        """A new revision waits for the end of a pause window."""
        word = (revision, until)
        if self._paused != word:
            self._paused = word
            self._log.info("revision.paused", revision=revision, until=until.isoformat())
        self._journal.judged("Paused", f"{revision[:12]} waits until {until.isoformat()}")

    def suspended(self) -> None:
        """Nothing is done for the source until it is resumed."""
        self._journal.judged("Suspended", "suspended; `reconciler resume` goes on")

    def resumed(self) -> None:
        """The source is followed again: the next verdict says how it stands."""
        self._journal.judged("Progressing", "resumed")

    def tolerated(self, each: Tolerated) -> None:
        """Somebody's change stays as it is."""
        log = self._log.debug if each.mode == "ignore" else self._log.warning
        key = each.key
        self._narrator.left(each, self._live.get(key))
        log(
            "drift.left",
            **_names(key),
            reason=each.mode,
            fields=[change.path for change in each.changes],
            managers=sorted({change.owner for change in each.changes if change.owner}),
            origin=str(each.origin),
            until=each.until.isoformat() if each.until else None,
        )  # fmt: skip

    def planned(self, target: Target, plan: Plan) -> None:
        """The plan of a new revision is made, and may be followed; told once."""
        if target.planned:
            return
        target.planned = True
        counts = counts_of(plan, len(target.desired))
        self._journal.reach(target.record, "Planned", more=Particulars(counts=counts))
        self._log.info("revision.planned", revision=target.revision, **counts.to_dict())

    def pulling(self, candidate: Target, missing: Sequence[str]) -> None:
        """Images of the revision are on their way to nodes; what runs is an older one."""
        self._rejected = True
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        self._journal.judged("Pulling", f"{candidate.revision[:12]} waits for {missing[0]}{more}")

    def unpulled(self, candidate: Target, failed: Sequence[str]) -> None:
        """Images of the revision cannot be had; nothing was changed, and it is tried again."""
        self._rejected = True
        message = f"{'; '.join(failed)}; what ran keeps running"
        errors = [RevisionError(message=each) for each in failed]
        if self._journal.reach(candidate.record, "Failed", message, Particulars(errors=errors)):
            self._log.error("revision.failed", revision=candidate.revision, reason=message)
        self._journal.judged("Failed", message)

    def pulled(self, candidate: Target, message: str) -> None:
        """Every image of the revision is where its pods may run."""
        if self._journal.reach(candidate.record, "Pulled", message):
            self._log.info("revision.pulled", revision=candidate.revision, reason=message)

    def followed(self, target: Target) -> None:
        """From now on the newest revision is what runs; a roll back leaves it in disgrace."""
        self._rejected = self._rejected and target.rollback

    def applied(self, target: Target) -> None:
        """Every write of the revision is done; said again after each start."""
        self._journal.reach(target.record, "Applied")
        self._log.info("revision.applied", revision=target.revision)
        self._journal.applied(target.revision)

    def judge(self, target: Target, lost: Sequence[RevisionCasualty], gone: str) -> float:
        """Say in which phase the revision is; return in how many seconds to ask again, or 0.

        `lost` are the containers with which it failed, `gone` is why it cannot be undone.
        """
        if target.failed:
            why = summary(target.failed) + (f"; not undone: {gone}" if gone else "")
            self._stand(target, "Failed", why, Particulars(casualties=lost))
        elif not target.unhealthy:
            self._stand(target, "Healthy", "")
        elif (wait := self._next_word - self._clock.monotonic()) > 0:
            return wait
        else:
            self._next_word = self._clock.monotonic() + _PACE_SECONDS
            self._stand(target, "Progressing", summary(target.unhealthy))
        return 0.0

    def blocked(self, target: Target, refusals: Sequence[Refusal]) -> Retryable:
        """The revision that runs does not fit the live objects any more; return why."""
        return self._fail(target, refusal_errors(refusals))

    def failed(self, target: Target, failures: Sequence[Failure]) -> Retryable:
        """The API refused writes; return the error that makes the loop try again."""
        errors = failure_errors(failures)
        for failure, error in zip(failures, errors, strict=True):
            log = self._log.error if failure.lasting else self._log.info
            log("object.failed", revision=target.revision, reason=describe(error))
        if any(failure.lasting for failure in failures):
            return self._fail(target, errors)
        return Retryable(describe(errors[0]))

    def _fail(self, target: Target, errors: Sequence[RevisionError]) -> Retryable:
        message = describe(errors[0])
        self._stand(target, "Failed", message, Particulars(errors=errors))
        return Retryable(message)

    def _stand(
        self,
        target: Target,
        phase: RevisionPhase,
        message: str,
        more: Particulars | None = None,
    ) -> None:
        if self._journal.reach(target.record, phase, message, more):
            log = self._log.error if phase == "Failed" else self._log.info
            log(f"revision.{phase.lower()}", revision=target.revision, reason=message)
        if not self._rejected:
            self._journal.judged(phase, message)

    def _reject(self, record: str, revision: str, errors: Sequence[RevisionError]) -> None:
        self._rejected = True
        plural = "s" if len(errors) != 1 else ""
        message = f"{len(errors)} error{plural}; what ran keeps running"
        if self._journal.reach(record, "Rejected", message, Particulars(errors=errors)):
            for error in errors:
                self._log.error("revision.rejected", revision=revision, reason=describe(error))
        self._journal.judged("Rejected", describe(errors[0]))
