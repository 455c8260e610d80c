"""A plan that destroys much is held until somebody approves this very plan."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Revision
from reconciler.model.namespace import Namespace
from reconciler.sync.care import APPROVE_ANNOTATION
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import runner, until
from tests.unit.sync.deeds import healthy, pod_of
from tests.unit.sync.world import WEB, manifest, pod, settings


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock, Care())


def test_a_plan_that_deletes_much_waits_for_an_approval_of_this_very_plan(run):
    many = [settings(name) for name in "abcdef"]

    async def scenario(cluster):
        await healthy(cluster, *many)
        shown = cluster.feed.show(WEB, *many[:3])
        held = await cluster.revision(shown.revision, "Held")
        assert "3 of 7 objects (43 %) would be deleted" in held.status.message
        await approve(cluster, held, "another plan's hash")
        await asyncio.sleep(60)
        assert len(cluster.registry.list(ConfigMap, "web")) == 6
        await approve(cluster, held, held.status.plan_hash)
        await cluster.revision(shown.revision, "Healthy")
        assert len(cluster.registry.list(ConfigMap, "web")) == 3

    run(scenario)


def test_drift_is_corrected_while_a_revision_is_held(run):
    many = [settings(name, key="1") for name in "abcdef"]

    async def scenario(cluster):
        await healthy(cluster, *many)
        shown = cluster.feed.show(WEB, *many[:3])
        await cluster.revision(shown.revision, "Held")
        await cluster.client.delete(ConfigMap, "f", "web")
        await until(lambda: len(cluster.registry.list(ConfigMap, "web")) == 6)

    run(scenario)


def test_a_namespace_is_never_deleted_unasked(run):
    async def scenario(cluster):
        others = [manifest("Namespace", f"n{number}") for number in range(9)]
        await healthy(cluster, *others)
        shown = cluster.feed.show(WEB, *others[:8])
        held = await cluster.revision(shown.revision, "Held")
        assert "Namespace n8 would be deleted with all that is in it" in held.status.message
        assert cluster.registry.get(Namespace, "n8").metadata.deletion_timestamp is None

    run(scenario)


def test_an_approval_covers_what_was_in_the_namespace_when_the_plan_was_shown(run):
    async def scenario(cluster):
        await healthy(cluster, manifest("Namespace", "old"), settings("a"))
        by_hand = pod("before") | {"metadata": {"name": "before", **OLD}}
        await cluster.client.create(pod_of(by_hand))
        shown = cluster.feed.show(WEB, settings("a"))
        held = await cluster.revision(shown.revision, "Held")
        named = "deleted with all that is in it, also what others made: Pod old/before;"
        assert named in held.status.message
        await cluster.client.create(claim_of("data"))
        await approve(cluster, held, held.status.plan_hash)
        again = await until(lambda: retold(cluster, held))
        assert "others made: PersistentVolumeClaim old/data, Pod old/before" in again.status.message
        assert cluster.registry.get(Namespace, "old").metadata.deletion_timestamp is None
        await approve(cluster, again, again.status.plan_hash)
        await until(lambda: cluster.registry.get(Namespace, "old").metadata.deletion_timestamp)

    run(scenario)


OLD = {"namespace": "old"}


def claim_of(name):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = manifest("PersistentVolumeClaim", name, spec=spec, metadata=OLD)
    return PersistentVolumeClaim.model_validate_json(orjson.dumps(body))


def retold(cluster, held):
    """Return the revision once its plan is another one than that of `held`."""
    live = cluster.registry.get(Revision, held.metadata.name)
    return live if live.status.plan_hash != held.status.plan_hash else None


async def approve(cluster, held, digest):
    live = cluster.registry.get(Revision, held.metadata.name)
    said = live.metadata.replace(annotations={APPROVE_ANNOTATION: digest})
    await cluster.client.update(live.replace(metadata=said))
