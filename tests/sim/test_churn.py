"""Nothing that the program holds grows with what came and went."""

from __future__ import annotations

from tests.sim.churn import Churn
from tests.sim.history import History
from tests.sim.play import play
from tests.sim.world import World

ROUNDS = 6

BOUNDED = {
    "reconciler.admission.alike.Alike": "the specs of the last 256 texts",
    "reconciler.client.correlation._Recent": "an hour, and 4,096: test_events.py",
    "reconciler.core.queue.WorkQueue._delayed": "twice what is due, and 64: test_queue.py",
    "reconciler.desired.load.Loader._by_content": "twice the files there are, and some",
    "reconciler.store.history": "10,000 changes of 8 MiB: tests/contract/test_store.py",
    "reconciler.store.table._Namespace": "Events, for an hour, and Revisions",
    **dict.fromkeys(
        (
            "reconciler.client.informer.Informer._objects",
            "reconciler.sync.journal.Journal",
            "reconciler.sync.lastwords.LastWords._live",
            "reconciler.sync.live.Live",
            "reconciler.sync.progress.Steps._known",
            "reconciler.sync.pulling.Pulling._live",
            "reconciler.sync.verdict.Verdict._live",
        ),
        "the revisions that `history` tells of",
    ),
}
"""What may grow within this test, and what its bound is."""


def test_no_table_grows_with_the_pods_and_objects_that_came_and_went():
    made: list[Churn] = []

    async def course(world: World) -> None:
        made.append(Churn(world))
        await made[0].run(ROUNDS)

    nothing_drawn = History(1, nodes=2, disorder=0, lag=0, steps=(), kept=(), accounts=True)
    assert play(nothing_drawn, course=course).broken == ""
    before, after = made[0].seen
    grown = {name: (before[name], after[name]) for name in after if _more(before, after, name)}
    assert grown == {}


def _more(before, after, name):
    """Say whether a table has grown by an entry for each other round or more."""
    return not name.startswith(tuple(BOUNDED)) and after[name] >= before[name] + ROUNDS // 2
