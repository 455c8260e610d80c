"""For any history of revisions and foreign hands: what is live depends on the newest good tree."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reconciler.client.protocol import NotFound
from reconciler.model.config import ConfigMap
from reconciler.model.meta import ObjectKey
from reconciler.sync.identity import source_of
from reconciler.sync.outcome import predict
from reconciler.sync.plan import Situation, plan
from tests.conftest import VirtualClock, VirtualLoop
from tests.unit.sync.cluster import Cluster, snapshot
from tests.unit.sync.world import WEB, controller, desired, settings

BAD = b"kind: ConfigMap\napiVersion:v1\n"
NAMES = ("a", "b", "c", "d")

data = st.dictionaries(st.sampled_from(["k", "l", "m"]), st.sampled_from(["", "1", "2"]))
config_maps = st.dictionaries(st.sampled_from(NAMES), data).map(
    lambda found: [settings(name, **found[name]) for name in sorted(found)]
)
controllers = st.dictionaries(
    st.sampled_from(NAMES), st.tuples(st.integers(0, 3), st.sampled_from(["app:1", "app:2"]))
).map(lambda found: [controller(name, *found[name]) for name in sorted(found)])
trees = st.tuples(config_maps, controllers).map(lambda parts: [WEB, *parts[0], *parts[1]])
revisions = st.one_of(trees, trees, trees, trees.map(lambda tree: [*tree, BAD]), st.just([]))
edits = st.lists(
    st.tuples(
        st.sampled_from(["edit", "label", "delete", "create"]), st.sampled_from([*NAMES, "mine"])
    ),
    max_size=3,
)

quick = hypothesis_settings(
    max_examples=int(os.environ.get("RECONCILER_HISTORIES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def simulate(body: Callable[[VirtualClock], Awaitable[None]]) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(body(VirtualClock(loop)))
    finally:
        loop.close()


def is_good(tree: list) -> bool:
    return bool(tree) and BAD not in tree


async def foreign_hand(cluster: Cluster, what: str, name: str) -> None:
    try:
        live = await cluster.client.get(ConfigMap, name, "web")
    except NotFound:
        if what == "create":
            made = ConfigMap.model_validate({"metadata": {"name": name, "namespace": "web"}})
            await cluster.client.create(made, manager="hand")
        return
    if what == "delete" and source_of(live):
        await cluster.client.delete(ConfigMap, name, "web")
    elif what == "edit" and live.data:
        await cluster.client.update(
            live.replace(data=dict.fromkeys(live.data, "hand")), manager="hand"
        )


@quick
@given(st.lists(revisions, min_size=1, max_size=5), trees)
def test_revision_n_then_m_is_m_alone(history, last):
    async def body(clock):
        walked, alone = Cluster(clock), Cluster(clock)
        async with walked.running():
            for tree in history:
                await walked.apply(*tree)
            await walked.apply(*last)
            await walked.settled()
        async with alone.running():
            await alone.apply(*last)
            await alone.settled()
        assert walked.content() == alone.content()

    simulate(body)


@quick
@given(st.lists(revisions, min_size=1, max_size=4), edits)
def test_foreign_hands_are_undone_and_their_own_objects_left(history, hands):
    async def body(clock):
        cluster, alone = Cluster(clock), Cluster(clock)
        good = next((tree for tree in reversed(history) if is_good(tree)), None)
        async with cluster.running():
            for tree in history:
                await cluster.apply(*tree)
            for what, name in hands if good is not None else ():
                await foreign_hand(cluster, what, name)
                await asyncio.sleep(2)
            await cluster.settled()
        async with alone.running():
            if good is not None:
                await alone.apply(*good)
            await alone.settled()
        mine = {key: body for key, body in cluster.content().items() if key in alone.content()}
        assert mine == alone.content()
        extra = cluster.content().keys() - alone.content().keys()
        made = {ObjectKey("ConfigMap", "web", name) for what, name in hands if what == "create"}
        assert extra <= made

    simulate(body)


@quick
@given(trees, revisions.filter(lambda tree: not is_good(tree)))
def test_a_rejected_revision_changes_nothing(tree, bad):
    async def body(clock):
        cluster = Cluster(clock)
        async with cluster.running():
            await cluster.apply(*tree)
            await cluster.settled()
            before = cluster.content()
            assert (await cluster.apply(*bad)).status.phase == "Rejected"
            await cluster.settled()
            assert cluster.content() == before

    simulate(body)


@quick
@given(st.lists(trees, min_size=1, max_size=3))
def test_a_second_plan_is_empty_without_any_memory(history):
    async def body(clock):
        cluster = Cluster(clock)
        async with cluster.running():
            for tree in history:
                await cluster.apply(*tree)
            await cluster.settled()
        live = cluster.objects()
        owned = [key for key, obj in live.items() if source_of(obj) == "main"]
        declared = desired(*history[-1])
        assert plan(Situation("main", declared, live, owned, predict)).actions == ()

    simulate(body)


@quick
@given(trees, st.integers(0, 400))
def test_a_restart_at_any_moment_ends_at_the_declared_state(tree, steps):
    async def body(clock):
        cluster, alone = Cluster(clock), Cluster(clock)
        async with cluster.running():
            cluster.feed.show(*tree)
            for _ in range(steps):
                await asyncio.sleep(0)
        async with cluster.running():
            await cluster.apply(*tree)
            await cluster.settled()
        async with alone.running():
            await alone.apply(*tree)
            await alone.settled()
        assert cluster.content() == alone.content()

    simulate(body)


def test_the_strategies_make_what_they_say():
    assert not is_good([WEB, BAD])
    assert snapshot(WEB).revision != snapshot(WEB, settings("a")).revision
    with pytest.raises(TimeoutError):
        simulate(lambda clock: Cluster(clock).revision("none", "Healthy"))
