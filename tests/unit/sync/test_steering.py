"""What people say to a source or an object: leave it, tolerate drift, pause, break the glass."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Source
from reconciler.model.time import format_time
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import runner, until
from tests.unit.sync.deeds import data, healthy, suspend
from tests.unit.sync.world import WEB, settings


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock, Care())


def test_an_object_may_stay_though_nobody_declares_it(run):
    async def scenario(cluster):
        kept = settings("kept", key="1")
        kept["metadata"]["annotations"] = {"reconciler.dev/prune": "disabled"}
        await healthy(cluster, kept, settings("a"))
        shown = cluster.feed.show(WEB, settings("a"))
        await cluster.revision(shown.revision, "Healthy")
        assert data(cluster, "kept") == {"key": "1"}

    run(scenario)


def test_a_suspended_source_is_left_alone_and_caught_up_with(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        await suspend(cluster, True)
        await cluster.source("Suspended")
        shown = cluster.feed.show(WEB, settings("a", key="2"))
        await cluster.client.delete(ConfigMap, "a", "web")
        await asyncio.sleep(60)
        assert cluster.registry.list(ConfigMap, "web") == []
        await suspend(cluster, False)
        await cluster.revision(shown.revision, "Healthy")
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)


def tolerant(name, mode, **words):
    declared = settings(name, **words)
    declared["metadata"]["annotations"] = {"reconciler.dev/drift": mode}
    return declared


@pytest.mark.parametrize("mode", ["report", "ignore"])
def test_drift_may_be_left_as_it_is(run, mode):
    async def scenario(cluster):
        await healthy(cluster, tolerant("a", mode, key="1"))
        live = cluster.registry.get(ConfigMap, "a", "web")
        await cluster.client.update(live.replace(data={"key": "hand"}), manager="vi")
        await asyncio.sleep(30)
        assert data(cluster, "a") == {"key": "hand"}
        await cluster.apply(WEB, tolerant("a", mode, key="2"))
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)


def test_an_ignored_field_keeps_its_live_value_and_the_others_are_put_back(run):
    async def scenario(cluster):
        declared = settings("a", mine="1", theirs="1")
        declared["metadata"]["annotations"] = {"reconciler.dev/drift-ignore": "/data/theirs"}
        await healthy(cluster, declared)
        live = cluster.registry.get(ConfigMap, "a", "web")
        changed = {"mine": "hand", "theirs": "hand"}
        await cluster.client.update(live.replace(data=changed), manager="vi")
        await until(lambda: data(cluster, "a") == {"mine": "1", "theirs": "hand"})
        await cluster.settled()
        assert data(cluster, "a") == {"mine": "1", "theirs": "hand"}

    run(scenario)


def test_a_broken_glass_holds_until_it_expires(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        live = cluster.registry.get(ConfigMap, "a", "web")
        until_when = format_time(cluster.clock.now() + timedelta(seconds=120))
        notes = {**live.metadata.annotations, "reconciler.dev/break-glass-until": until_when}
        metadata = live.metadata.replace(annotations=notes)
        await cluster.client.update(
            live.replace(metadata=metadata, data={"key": "urgent"}), manager="oncall"
        )
        await asyncio.sleep(100)
        assert data(cluster, "a") == {"key": "urgent"}
        await asyncio.sleep(30)
        assert data(cluster, "a") == {"key": "1"}

    run(scenario)


def test_a_pause_window_keeps_new_revisions_waiting_and_drift_is_put_back(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        now = cluster.clock.now()
        end = now + timedelta(minutes=10)
        source = cluster.registry.get(Source, "main")
        notes = {"reconciler.dev/pause-windows": f"{now:%H:%M}-{end:%H:%M}"}
        await cluster.client.update(
            source.replace(metadata=source.metadata.replace(annotations=notes))
        )
        await asyncio.sleep(1)
        shown = cluster.feed.show(WEB, settings("a", key="2"))
        assert (await cluster.source("Paused")).status.observed_revision == shown.revision
        await cluster.client.delete(ConfigMap, "a", "web")
        await until(lambda: cluster.registry.list(ConfigMap, "web"))
        await asyncio.sleep(400)
        assert data(cluster, "a") == {"key": "1"}
        await asyncio.sleep(300)
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)


def test_a_person_may_sync_during_a_pause(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        source = cluster.registry.get(Source, "main")
        notes = {"reconciler.dev/pause-windows": "00:00-24:00"}
        await cluster.client.update(
            source.replace(metadata=source.metadata.replace(annotations=notes))
        )
        await asyncio.sleep(1)
        shown = cluster.feed.show(WEB, settings("a", key="2"))
        await cluster.source("Paused")
        cluster.sync.trigger()
        await cluster.revision(shown.revision, "Healthy")
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)
