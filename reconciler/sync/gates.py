"""What a new revision has to pass before the first write: bounds, order, approval, pause, images.

Held by the loop. A revision that is stopped here has changed nothing, and is looked at again when
a person approves, or a node has its images. What the gates found is told by the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.client.protocol import Client
from reconciler.core.clock import Clock
from reconciler.core.derived import difference
from reconciler.core.errors import Retryable
from reconciler.desired.objects import DesiredObject
from reconciler.desired.objecttree import sources
from reconciler.model import kinds
from reconciler.model.gitops import Revision
from reconciler.model.meta import ObjectKey
from reconciler.sync.bounds import out_of_bounds
from reconciler.sync.care import approved, hold_reason, plan_hash
from reconciler.sync.comparison import Comparison
from reconciler.sync.hostaccess import beyond_access
from reconciler.sync.live import Live
from reconciler.sync.plan import Plan, Situation
from reconciler.sync.pulling import Pulling
from reconciler.sync.refusal import Refusal
from reconciler.sync.siblings import behind, prunes
from reconciler.sync.steering import SyncOptions
from reconciler.sync.target import Target
from reconciler.sync.verdict import Verdict
from reconciler.sync.waves import order_refusals
from reconciler.sync.windows import paused_until

_REVISION = kinds.of(Revision).key_kind
_SIBLINGS_SECONDS = 10.0
_SIBLINGS_PAUSE = 0.3


class Gates:
    """The gates of one source."""

    def __init__(
        self,
        client: Client,
        options: SyncOptions,
        live: Live,
        comparison: Comparison,
        verdict: Verdict,
        clock: Clock,
    ) -> None:
        self._live = live
        self._clock = clock
        self._options = options
        self._within: Mapping[ObjectKey, DesiredObject] = {}
        self._comparison = comparison
        self._verdict = verdict
        self._pulling = Pulling(client, options.name, live.objects, options.takes)

    def refusals(self, candidate: Target) -> Sequence[Refusal]:
        """Return what is wrong with a revision whatever is live: bounds, the host, order."""
        options, desired = self._options, candidate.desired
        looked = self._unjudged(desired)
        beyond = out_of_bounds(options.name, looked, options.bounds, self._live.source)
        beyond += beyond_access(options.name, looked, options.access)
        if beyond:
            return beyond
        self._within = desired
        return order_refusals(desired, candidate.order)

    def _unjudged(self, desired: Mapping[ObjectKey, DesiredObject]) -> list[DesiredObject]:
        """Return what may be out of bounds: news, and Sources, for what they may say is live."""
        news = (desired[key] for key in difference(desired, self._within) if key in desired)
        return list({each.key: each for each in (*sources(desired), *news)}.values())

    async def passed(self, candidate: Target, planned: Plan) -> bool:
        """Say whether the plan may be followed now. Raises `Retryable`.

        A roll back stops at no gate: it goes where everything was before.
        """
        if candidate.rollback:
            self._verdict.planned(candidate, planned)
            return True
        self._let_siblings_see(candidate, planned)
        situation = self._comparison.situation(candidate)
        if self._held(candidate, planned, situation) or self._paused(candidate):
            return False
        self._verdict.planned(candidate, planned)
        return await self._pulled(candidate, planned, situation)

    def _let_siblings_see(self, candidate: Target, planned: Plan) -> None:
        """Before a prune, let other sources of the repository see the commit. Raises `Retryable`.

        One of them may want what this one lets go. They get a few seconds, not longer.
        """
        options = self._options
        if options.ending or not prunes(planned) or candidate.since is None:
            return
        if (self._clock.now() - candidate.since).total_seconds() > _SIBLINGS_SECONDS:
            return
        sources = (*self._live.sources(), *self._live.coming())
        late = behind(options.name, options.spec, candidate, sources)
        if late:
            options.look(late)
            message = f"sources of the same repository look first: {', '.join(late)}"
            raise Retryable(message, after=_SIBLINGS_PAUSE)

    def _held(self, candidate: Target, planned: Plan, situation: Situation) -> bool:
        """Say whether the plan needs an approval that nobody has given."""
        options = self._options
        reason = hold_reason(planned, situation, options.care.prune_threshold)
        if not reason or (options.ending and self._live.agreed(options.name)):
            return False
        digest = plan_hash(planned, situation)
        record = self._live.objects.get(ObjectKey(_REVISION, "", candidate.record))
        known = record if isinstance(record, Revision) else None
        if approved(known, candidate.message, digest):
            return False
        self._verdict.held(candidate, reason, digest)
        return True

    def _paused(self, candidate: Target) -> bool:
        """Say whether a pause began while the revision waited here; it was let in before."""
        source = self._live.source(self._options.name)
        until = paused_until(source, self._clock.now())
        if until is None or source is None or candidate.asked:
            return False
        if candidate.revision == source.status.applied_revision:
            return False
        self._verdict.paused(candidate.revision, until)
        return True

    async def _pulled(self, candidate: Target, planned: Plan, situation: Situation) -> bool:
        """Say whether every image that the plan needs is on its nodes; ask for what is not."""
        progress = await self._pulling.ask(candidate.record, planned, situation)
        if progress is None:
            return True
        if progress.failed:
            self._verdict.unpulled(candidate, progress.failed)
        elif progress.missing:
            self._verdict.pulling(candidate, progress.missing)
        else:
            self._verdict.pulled(candidate, progress.message)
            await self._pulling.clear()
            return True
        return False
