"""Pull first with several nodes, each with a prepuller of its own on the fake runtime."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from reconciler.kubelet.runtime import Credentials
from reconciler.model.imagepull import ImagePull
from reconciler.model.node import Node
from tests.unit.sync.cluster import Cluster
from tests.unit.sync.test_pulls import Host, fate, image_of, node, steps
from tests.unit.sync.world import WEB, controller, manifest, pod, settings


@pytest.fixture
def run(virtual, clock):
    def runner(scenario):
        async def body():
            cluster = Cluster(clock)
            one, other = Host(cluster, "a"), Host(cluster, "b")
            async with cluster.running(), one.running(), other.running():
                await fate(cluster, controller("x"))
                await scenario(cluster, one.runtime, other.runtime)

        virtual.run_until_complete(body())

    return runner


def test_nothing_is_written_before_the_slowest_node_has_the_image(run):
    async def scenario(cluster, one, other):
        one.registry = other.registry = {"app:2"}
        other.pull_seconds = 30
        shown = cluster.feed.show(WEB, controller("x", image="app:2"), settings("s", k="1"))
        source = await cluster.source("Pulling")
        assert "app:2 on " in source.status.message
        await asyncio.sleep(20)
        assert (one.pulls, other.pulls) == (["app:2"], ["app:2"])
        assert image_of(cluster) == "app:1"
        revision = await cluster.revision(shown.revision, "Progressing")
        (pulled,) = [step for step in revision.status.steps if step.phase == "Pulled"]
        assert pulled.message == "2 pulled, 0 were there"
        assert image_of(cluster) == "app:2"
        await cluster.settled()
        assert cluster.registry.list(ImagePull) == []

    run(scenario)


def test_a_node_that_cannot_have_the_image_fails_the_revision_for_all(run):
    async def scenario(cluster, one, other):
        one.registry = {"app:2"}
        before = cluster.content()
        failed = await fate(cluster, controller("x", image="app:2"), settings("s", k="1"))
        assert failed.status.phase == "Failed"
        assert failed.status.message.startswith("image app:2 on node b: ErrImagePull: ")
        assert "node a" not in failed.status.message
        await asyncio.sleep(60)
        assert image_of(cluster) == "app:1"
        assert cluster.content() == before
        other.registry = {"app:2"}
        healed = await cluster.revision(failed.spec.revision, "Progressing")
        assert "Pulled" in steps(healed)

    run(scenario)


def test_a_node_that_goes_down_meanwhile_is_not_waited_for(run):
    async def scenario(cluster, one, other):
        one.registry, other.registry = {"app:2"}, {"app:2"}
        other.pull_seconds = 3600
        shown = cluster.feed.show(WEB, controller("x", image="app:2"))
        await cluster.source("Pulling")
        live = await cluster.client.get(Node, "b")
        down = node("b", ready="Unknown").status
        await cluster.client.update(live.replace(status=down), subresource="status")
        began = cluster.clock.monotonic()
        revision = await cluster.revision(shown.revision, "Progressing")
        assert cluster.clock.monotonic() - began < 15
        assert "1 pulled, 0 were there" in [step.message for step in revision.status.steps]

    run(scenario)


def test_a_pod_for_one_node_asks_the_other_for_nothing(run):
    async def scenario(cluster, one, other):
        one.registry = {"app:3"}
        placed = pod("p", "app:3", nodeName="a")
        revision = await fate(cluster, controller("x"), placed)
        assert "Pulled" in steps(revision)
        assert (one.pulls, other.pulls) == (["app:3"], [])

    run(scenario)


def test_each_node_pulls_with_the_secrets_of_the_account_that_the_revision_changes(run):
    async def scenario(cluster, one, other):
        for runtime in (one, other):
            runtime.registry = {"hub.example/app:2"}
            runtime.accounts = {"hub.example/app:2": Credentials("u", "p")}
        auths = {"auths": {"hub.example": {"username": "u", "password": "p"}}}
        secret = manifest(
            "Secret", "hub", type="kubernetes.io/dockerconfigjson",
            stringData={".dockerconfigjson": orjson.dumps(auths).decode()},
        )  # fmt: skip
        account = manifest("ServiceAccount", "runner", imagePullSecrets=[{"name": "hub"}])
        made = pod("p", "hub.example/app:2", serviceAccountName="runner")
        revision = await fate(cluster, secret, account, made)
        (pulled,) = [step for step in revision.status.steps if step.phase == "Pulled"]
        assert pulled.message == "2 pulled, 0 were there"

    run(scenario)
