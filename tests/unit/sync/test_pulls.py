"""Pull first: nothing of a revision is written before its images are on the nodes."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager

import orjson
import pytest

from reconciler.client.informer import Informer
from reconciler.kubelet.fake import FakeRuntime
from reconciler.kubelet.images import Images
from reconciler.kubelet.prepull import Prepuller
from reconciler.kubelet.runtime import Credentials
from reconciler.model.affinity import selects
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.gitops import Source
from reconciler.model.imagepull import ImagePull
from reconciler.model.node import Node
from reconciler.model.replication import ReplicationController
from reconciler.model.sourcewords import PAUSE_ANNOTATION
from reconciler.sync.plan import plan
from reconciler.sync.pulls import progress, requests
from tests.unit.sync.cluster import Cluster, until
from tests.unit.sync.world import (
    WEB,
    controller,
    desired,
    manifest,
    pod,
    settings,
    situation,
    stored,
)


def node(name, ready="True", **spec):
    body = {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }
    return Node.model_validate_json(orjson.dumps(body))


def asked(declared, *live, name="main-2"):
    world = situation(desired(*declared), *live)
    return requests(plan(world), world, "main", name, selects)


def images(found):
    return {pull.spec.node_name: [each.image for each in pull.spec.images] for pull in found.pulls}


class TestRequests:
    def test_each_node_that_may_run_a_new_pod_shall_have_its_images(self):
        placed = pod("p", "app:3", nodeSelector={"kubernetes.io/hostname": "b"})
        found = asked([WEB, controller("x"), placed], node("a"), node("b"))
        assert images(found) == {"a": ["app:1"], "b": ["app:1", "app:3"]}
        assert [pull.metadata.name for pull in found.pulls] == ["main-2.a", "main-2.b"]
        assert found.pulls[0].spec.revision == "main-2"

    def test_nodes_that_run_no_new_pod_are_left_out(self):
        cordoned, down = node("a", unschedulable=True), node("b", ready="Unknown")
        assert asked([WEB, controller("x")], cordoned, down).pulls == ()

    def test_a_change_that_starts_no_container_needs_no_image(self):
        web, live = stored(WEB), stored(controller("x", 2))
        relabelled = controller("x", 2, labels={"tier": "front"})
        fewer, more = controller("x", 1), controller("x", 3)
        assert asked([WEB, relabelled], web, live, node("a")).pulls == ()
        assert asked([WEB, fewer], web, live, node("a")).pulls == ()
        assert images(asked([WEB, more], web, live, node("a"))) == {"a": ["app:1"]}
        other = controller("x", 2, "app:2")
        assert images(asked([WEB, other], web, live, node("a"))) == {"a": ["app:2"]}
        assert asked([WEB, controller("y", 0)], web, live, node("a")).pulls == ()

    def test_a_pull_secret_of_the_revision_itself_is_asked_for_as_a_copy(self):
        secret = manifest(
            "Secret", "hub", type="kubernetes.io/dockerconfigjson",
            stringData={".dockerconfigjson": '{"auths": {}}'},
        )  # fmt: skip
        wants = pod("p", imagePullSecrets=[{"name": "hub"}])
        (copy,) = (found := asked([WEB, secret, wants], node("a"))).secrets
        assert base64.b64decode(copy.data[".dockerconfigjson"]) == b'{"auths": {}}'
        ((reference,),) = [each.pull_secrets for each in found.pulls[0].spec.images]
        assert (reference.namespace, reference.name) == ("kube-system", copy.metadata.name)
        live = stored({**secret, "data": dict(copy.data), "stringData": {}})
        found = asked([WEB, secret, wants], live, node("a"))
        assert found.secrets == ()
        assert asked([WEB, secret, wants]).secrets == ()  # no node, no request, no copy
        assert found.pulls[0].spec.images[0].pull_secrets[0].namespace == "web"

    def test_the_pull_secrets_of_the_account_count_where_the_pod_has_none(self):
        account = manifest("ServiceAccount", "default", imagePullSecrets=[{"name": "hub"}])
        other = manifest("ServiceAccount", "own", imagePullSecrets=[{"name": "mine"}])
        plain = pod("p", imagePullSecrets=[{"name": "told"}], serviceAccountName="own")

        def secrets(declared, *live):
            (pull,) = asked([WEB, declared], node("a"), *live).pulls
            return [each.name for image in pull.spec.images for each in image.pull_secrets]

        assert secrets(controller("x"), stored(account)) == ["hub"]
        assert secrets(pod("p", serviceAccountName="own"), stored(other)) == ["mine"]
        assert secrets(plain, stored(other)) == ["told"]
        found = asked([WEB, account, controller("x")], node("a"))
        assert [each.name for each in found.pulls[0].spec.images[0].pull_secrets] == ["hub"]

    def test_nothing_is_known_of_a_node_that_has_not_answered_this_very_request(self):
        found = asked([WEB, controller("x")], node("a"))
        (wanted,) = found.pulls
        unasked = progress(found, {})
        stale = wanted.replace(metadata=wanted.metadata.replace(generation=2))
        assert unasked.missing == ("app:1 on a",)
        assert progress(found, {wanted.key: stale}).missing == ("app:1 on a",)


class Host:
    """The part of a kubelet that has images, on the fake runtime."""

    def __init__(self, cluster, name="a", images=("app:1",)):
        self.cluster = cluster
        self.runtime = FakeRuntime(cluster.clock, images)
        self.name = name

    @asynccontextmanager
    async def running(self):
        client, clock = self.cluster.client, self.cluster.clock
        made = node(self.name)
        live = await client.create(made.replace(status=type(made.status)()))
        await client.update(live.replace(status=made.status), subresource="status")
        informer = Informer(client, ImagePull)
        tasks = []

        def spawn(pull):
            tasks.append(asyncio.create_task(pull))
            return tasks[-1]

        puller = Prepuller(client, informer, Images(self.runtime, clock, spawn), clock, self.name)
        tasks += [asyncio.create_task(each) for each in (informer.run(), puller.run())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def run(virtual, clock):
    def runner(scenario):
        async def body():
            cluster = Cluster(clock)
            async with cluster.running(), Host(cluster).running() as host:
                await scenario(cluster, host)

        virtual.run_until_complete(body())

    return runner


def image_of(cluster, name="x"):
    live = cluster.registry.get(ReplicationController, name, "web")
    return live.spec.template.spec.containers[0].image


def steps(revision):
    return [step.phase for step in revision.status.steps]


async def fate(cluster, *tree, phases=("Failed", "Progressing", "Healthy")):
    shown = cluster.feed.show(WEB, *tree)
    return await cluster.revision(shown.revision, *phases)


class TestPullFirst:
    def test_a_pull_that_takes_long_leaves_what_runs_until_it_ended(self, run):
        async def scenario(cluster, host):
            host.runtime.registry = {"app:2"}
            await fate(cluster, controller("x"))
            host.runtime.pull_seconds = 30
            shown = cluster.feed.show(WEB, controller("x", image="app:2"), settings("s", k="1"))
            source = await cluster.source("Pulling")
            assert "waits for app:2 on a" in source.status.message
            await asyncio.sleep(20)
            assert image_of(cluster) == "app:1"
            assert not cluster.registry.list(ConfigMap)
            revision = await cluster.revision(shown.revision, "Progressing")
            assert image_of(cluster) == "app:2"
            order = ["Fetched", "Validated", "Planned", "Pulled", "Applied", "Progressing"]
            assert steps(revision) == order
            pulled = revision.status.steps[3]
            assert pulled.message == "1 pulled, 0 were there"
            assert 29 < pulled.duration_seconds < 40
            await cluster.settled()
            assert cluster.registry.list(ImagePull) == []

        run(scenario)

    def test_a_missing_image_fails_the_revision_and_nothing_was_changed(self, run):
        async def scenario(cluster, host):
            await fate(cluster, controller("x"))
            await cluster.settled()
            before = cluster.content()
            failed = await fate(cluster, controller("x", image="app:9"), settings("s", k="1"))
            assert failed.status.phase == "Failed"
            assert failed.status.message.startswith("image app:9 on node a: ErrImagePull: ")
            assert failed.status.message.endswith("what ran keeps running")
            await asyncio.sleep(60)
            assert cluster.content() == before
            host.runtime.registry = {"app:9"}
            healed = await cluster.revision(failed.spec.revision, "Progressing")
            assert "Pulled" in steps(healed)
            assert image_of(cluster) == "app:9"

        run(scenario)

    def test_a_newer_commit_does_not_wait_for_the_images_of_an_older(self, run):
        async def scenario(cluster, host):
            await fate(cluster, controller("x"))
            await fate(cluster, controller("x", image="app:9"))
            await fate(cluster, controller("x"), settings("s", k="1"), phases=("Progressing",))
            await cluster.settled()
            assert cluster.registry.list(ImagePull) == []
            assert cluster.registry.get(ConfigMap, "s", "web").data == {"k": "1"}

        run(scenario)

    def test_an_account_that_the_revision_brings_is_used_and_nothing_is_left_of_it(self, run):
        async def scenario(cluster, host):
            host.runtime.registry = {"hub.example/app:2"}
            host.runtime.accounts = {"hub.example/app:2": Credentials("u", "p")}
            auths = {"auths": {"hub.example": {"username": "u", "password": "p"}}}
            secret = manifest(
                "Secret", "hub", type="kubernetes.io/dockerconfigjson",
                stringData={".dockerconfigjson": orjson.dumps(auths).decode()},
            )  # fmt: skip
            made = pod("p", "hub.example/app:2", imagePullSecrets=[{"name": "hub"}])
            revision = await fate(cluster, secret, made)
            assert "Pulled" in steps(revision)
            await cluster.settled()
            assert [each.metadata.name for each in cluster.registry.list(Secret)] == ["hub"]

        run(scenario)

    def test_policies_are_those_of_the_containers(self, run):
        async def scenario(cluster, host):
            host.runtime.registry = {"app:1"}

            def with_policy(policy, image="app:1"):
                made = controller("x", image=image)
                made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = policy
                return made

            await fate(cluster, with_policy("IfNotPresent"))
            assert host.runtime.pulls == []
            await fate(cluster, with_policy("Always"))
            assert host.runtime.pulls == ["app:1"]
            failed = await fate(cluster, with_policy("Never", "app:2"))
            assert "ErrImageNeverPull" in failed.status.message

        run(scenario)

    def test_a_restart_asks_again_and_goes_on(self, virtual, clock):
        async def body():
            cluster = Cluster(clock)
            tree = [WEB, controller("x", image="app:2")]
            await cluster.registry.start()
            async with Host(cluster).running() as host:
                async with cluster.running():
                    shown = cluster.feed.show(*tree)
                    await cluster.revision(shown.revision, "Failed")
                host.runtime.registry = {"app:2"}
                async with cluster.running():
                    cluster.feed.show(*tree)
                    await cluster.revision(shown.revision, "Progressing")
                    await until(lambda: not cluster.registry.list(ImagePull))

        virtual.run_until_complete(body())

    def test_a_pause_is_told_while_an_older_revision_waits_for_images_and_sync_ends_it(self, run):
        async def scenario(cluster, host):
            await fate(cluster, controller("x"))
            await fate(cluster, controller("x", image="app:9"))
            (live,) = cluster.registry.list(Source)
            meta = live.metadata.replace(annotations={PAUSE_ANNOTATION: "00:00-24:00"})
            await cluster.client.update(live.replace(metadata=meta))
            await cluster.settled()
            shown = cluster.feed.show(WEB, controller("x"), settings("s", k="1"))
            await cluster.source("Paused")
            await cluster.settled()
            (paused,) = cluster.registry.list(Source)
            assert paused.status.phase == "Paused"
            assert shown.revision[:12] in paused.status.message
            cluster.sync.trigger()
            await cluster.revision(shown.revision, "Progressing")

        run(scenario)
