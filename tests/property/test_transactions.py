"""For any history of good, invalid and failing revisions: a failed one leaves the last healthy."""

from __future__ import annotations

import asyncio
import os

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reconciler.client.protocol import ApiError
from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Revision, Source
from reconciler.model.meta import ObjectKey
from reconciler.model.replication import (
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)
from reconciler.sync.steering import Care
from tests.property.test_sync import BAD, WEB, config_maps, simulate
from tests.unit.sync.cluster import Cluster
from tests.unit.sync.world import controller

CRASHING = "app:crash"
KEEP = 30.0
MINE = ObjectKey("ConfigMap", "default", "mine")

images = st.sampled_from(["app:1", "app:2", "app:3", CRASHING])
controllers = st.dictionaries(
    st.sampled_from(["x", "y"]), st.tuples(st.integers(1, 3), images)
).map(lambda found: [controller(name, *found[name]) for name in sorted(found)])
trees = st.tuples(config_maps, controllers).map(lambda parts: [WEB, *parts[0], *parts[1]])
steps = st.one_of(trees, trees, trees, trees.map(lambda tree: [*tree, BAD]), st.just([]))

thorough = hypothesis_settings(
    max_examples=int(os.environ.get("RECONCILER_HISTORIES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def is_valid(tree):
    return bool(tree) and BAD not in tree


def crashes(tree):
    found = [each for each in tree if isinstance(each, dict) and "template" in each.get("spec", {})]
    images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in found]
    return CRASHING in images


async def obey(cluster):
    """Be the replication controller and the kubelet: say at once how each rollout ends."""
    while True:
        for live in cluster.registry.list(ReplicationController):
            status = verdict(live)
            if live.status != status:
                try:
                    await cluster.client.update(live.replace(status=status), subresource="status")
                except ApiError:
                    continue
        await asyncio.sleep(0.2)


def verdict(live):
    failing = live.spec.template.spec.containers[0].image == CRASHING
    reason = "ProgressDeadlineExceeded" if failing else "RolloutComplete"
    condition = ReplicationControllerCondition(
        type="Progressing", status="False" if failing else "True", reason=reason
    )
    replicas = live.spec.replicas
    return ReplicationControllerStatus(
        replicas=replicas,
        ready_replicas=0 if failing else replicas,
        observed_generation=live.metadata.generation,
        conditions=(condition,),
    )


async def follow(cluster, history, *, restarts=(), rest=0.0):
    """Show each revision until its fate is known; start the daemon anew after some.

    After the last one the time passes for which objects rest.
    """
    made = ConfigMap.model_validate({"metadata": {"name": "mine", "namespace": "default"}})
    number = 0
    while number < len(history):
        async with cluster.running():
            hands = asyncio.create_task(obey(cluster))
            if number == 0:
                await cluster.client.create(made, manager="hand")
            elif history:
                cluster.feed.show(*history[number - 1])
                await cluster.settled()
            while number < len(history):
                await end(cluster, history[number])
                number += 1
                if number in restarts:
                    break
            if number == len(history):
                await asyncio.sleep(rest)
                await cluster.settled()
            hands.cancel()
            await asyncio.gather(hands, return_exceptions=True)


async def end(cluster, tree):
    shown = cluster.feed.show(*tree)
    await cluster.revision(shown.revision, "Healthy", "Rejected", "Failed", "RolledBack")
    await cluster.settled()


def last_good(history):
    """Return the tree that must be live: the newest valid one that does not crash."""
    return next((tree for tree in reversed(history) if is_valid(tree) and not crashes(tree)), None)


def first_attempts_only(history):
    """Whether some revision became healthy before any crashed: else there is no way back."""
    valid = [tree for tree in history if is_valid(tree)]
    return bool(valid) and not crashes(valid[0])


@thorough
@given(
    st.lists(steps, min_size=1, max_size=6).filter(first_attempts_only),
    st.sets(st.integers(1, 5)),
    st.sampled_from([0.0, KEEP]),
)
def test_what_is_live_is_the_last_healthy_revision_whole(history, restarts, keep):
    async def body(clock):
        care = Care(prune_threshold=100, prune_keep=keep)
        walked, alone = Cluster(clock, care=care), Cluster(clock)
        await follow(walked, history, restarts=restarts, rest=keep)
        await follow(alone, [last_good(history)])
        assert walked.content() == alone.content()
        assert MINE in walked.content()

    simulate(body)


@thorough
@given(st.lists(steps, min_size=2, max_size=6).filter(first_attempts_only))
def test_each_revision_has_a_record_with_an_end_and_a_second_look_writes_nothing(history):
    async def body(clock):
        cluster = Cluster(clock)
        async with cluster.running():
            hands = asyncio.create_task(obey(cluster))
            for tree in history:
                await end(cluster, tree)
            before = cluster.content()
            versions = {k: o.metadata.resource_version for k, o in cluster.objects().items()}
            cluster.sync.trigger()
            await cluster.settled()
            assert cluster.content() == before
            assert versions == {
                k: o.metadata.resource_version for k, o in cluster.objects().items()
            }
            hands.cancel()
            await asyncio.gather(hands, return_exceptions=True)
        for revision in cluster.registry.list(Revision):
            assert revision.status.phase in ("Healthy", "Rejected", "RolledBack")
        (source,) = cluster.registry.list(Source)
        newest = history[-1]
        bad = not is_valid(newest)
        assert (source.status.phase == "Rejected") == bad

    simulate(body)


@thorough
@given(st.lists(trees.filter(lambda tree: not crashes(tree)), min_size=2, max_size=5))
def test_what_comes_back_in_time_is_the_same_object_and_nothing_is_ever_made_twice(history):
    async def body(clock):
        care = Care(prune_threshold=100, prune_keep=3600.0)
        cluster = Cluster(clock, care=care)
        seen: dict[ObjectKey, set[str]] = {}
        async with cluster.running():
            hands = asyncio.create_task(obey(cluster))
            for tree in history:
                await end(cluster, tree)
                for key, obj in cluster.objects().items():
                    seen.setdefault(key, set()).add(obj.metadata.uid)
            hands.cancel()
            await asyncio.gather(hands, return_exceptions=True)
        assert all(len(uids) == 1 for uids in seen.values())

    simulate(body)
