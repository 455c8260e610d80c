"""What is declared no more rests, comes back as it was, and is removed in the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model.config import ConfigMap
from reconciler.model.meta import ObjectKey
from reconciler.model.namespace import Namespace
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import REMOVE_AT, UNDELETED, is_retired, removal_of
from reconciler.model.service import Service
from reconciler.model.time import format_time
from reconciler.sync.actions import Apply, Create, Prune, Retire
from reconciler.sync.care import hold_reason, plan_hash
from reconciler.sync.ending import KEEP_ANNOTATION, end_of, rest_left
from reconciler.sync.plan import plan
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import Cluster, runner, snapshot, until
from tests.unit.sync.deeds import crash
from tests.unit.sync.test_plan import annotated
from tests.unit.sync.world import (
    WEB,
    controller,
    desired,
    manifest,
    pod,
    service,
    settings,
    situation,
    stored,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TEXT = format_time(LATER)
HOUR = 3600.0


def ends(live, now, keep):
    return end_of(live, now, keep, rest_left(live, now))


class TestEnd:
    def test_what_is_declared_no_more_rests_for_the_time_of_the_settings(self):
        live = stored(controller("x"))
        assert ends(live, NOW, HOUR) == Retire(live.key, "uid-x", LATER)
        assert ends(live, NOW, 0) == Prune(live.key, "uid-x", "Background")

    def test_an_annotation_is_stronger(self):
        longer = annotated(stored(settings("s")), **{KEEP_ANNOTATION: "7200"})
        assert ends(longer, NOW, HOUR) == Retire(longer.key, "uid-s", NOW + timedelta(hours=2))
        never = annotated(longer, **{KEEP_ANNOTATION: "0"})
        assert isinstance(ends(never, NOW, HOUR), Prune)

    def test_what_rests_goes_when_its_time_is_over_and_not_before(self):
        resting = annotated(stored(controller("x")), **{REMOVE_AT: TEXT})
        assert ends(resting, NOW, HOUR) == HOUR
        assert isinstance(ends(resting, LATER, HOUR), Prune)
        odd = annotated(stored(controller("x")), **{REMOVE_AT: "soon"})
        assert ends(odd, NOW, HOUR) == Retire(odd.key, "uid-x", LATER)

    def test_what_cannot_go_on_or_shall_not_stop_goes_at_once(self):
        job = stored(pod("p", restartPolicy="Never"))
        assert isinstance(ends(job, NOW, HOUR), Prune)
        orphan = annotated(stored(controller("x")), **{"reconciler.dev/on-prune": "orphan"})
        assert ends(orphan, NOW, HOUR) == Prune(orphan.key, "uid-x", "Orphan")


class TestPlan:
    def planned(self, declared, *live, **more):
        world = situation(desired(*declared), *live, now=NOW, keep=HOUR, **more)
        return plan(world), world

    def test_a_retired_object_that_is_declared_again_is_revived_by_the_same_apply(self):
        resting = annotated(stored(controller("x")), **{REMOVE_AT: TEXT})
        (action,) = self.planned([WEB, controller("x")], stored(WEB), resting)[0].actions
        assert isinstance(action, Apply)
        assert action.revive
        assert not action.drift
        assert [c.path for c in action.changes] == [f"metadata.annotations[{REMOVE_AT}]"]

    def test_undeleted_objects_stay_and_resting_ones_are_looked_at_again(self):
        back = annotated(stored(settings("a")), **{UNDELETED: TEXT})
        resting = annotated(stored(settings("b")), **{REMOVE_AT: TEXT})
        planned = self.planned([WEB], stored(WEB), back, resting)[0]
        assert planned.actions == ()
        assert planned.resting == {ObjectKey("ConfigMap", "web", "b"): HOUR}

    @pytest.mark.parametrize("notes", [{}, {REMOVE_AT: TEXT}])
    def test_what_holds_a_port_that_is_needed_does_not_rest(self, notes):
        old = annotated(stored(service("old", 30080)), **notes)
        planned = self.planned([WEB, service("new", 30080)], stored(WEB), old)[0]
        assert planned.actions[0] == Prune(old.key, "uid-old", "Background", first=True)

    def test_a_retirement_waits_for_approval_its_end_does_not(self):
        live = stored(controller("x"))
        planned, world = self.planned([WEB], stored(WEB), live)
        assert "1 of 2 objects" in hold_reason(planned, world, 30)
        again, same = self.planned([WEB], stored(WEB), live)
        assert plan_hash(planned, world) == plan_hash(again, same)
        over = annotated(live, **{REMOVE_AT: format_time(NOW)})
        planned, world = self.planned([WEB], stored(WEB), over)
        assert [type(action) for action in planned.actions] == [Prune]
        assert hold_reason(planned, world, 30) == ""

    def test_what_a_kustomization_generates_anew_is_not_deleted(self):
        old, new = settings("conf-2748f727mg"), settings("conf-t84bgbmfg7")
        planned, world = self.planned([WEB, new], stored(WEB), stored(old))
        assert [type(action) for action in planned.actions] == [Create, Retire]
        assert hold_reason(planned, world, 30) == ""
        dropped, other = self.planned([WEB, settings("else-t84bgbmfg7")], stored(WEB), stored(old))
        assert "1 of 2 objects" in hold_reason(dropped, other, 30)


CARE = Care(prune_threshold=100, prune_keep=HOUR)


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock, CARE)


async def see(cluster, *tree):
    shown = cluster.feed.show(WEB, *tree)
    revision = await cluster.revision(shown.revision, "Healthy", "Progressing", "RolledBack")
    await cluster.settled()
    return revision


def one(cluster, kind, name):
    return cluster.registry.get(kind, name, "web")


class TestLife:
    def test_it_rests_and_is_removed_when_its_time_is_over_also_after_a_restart(
        self, virtual, clock
    ):
        async def body():
            cluster = Cluster(clock, care=CARE)
            async with cluster.running():
                await see(cluster, controller("x"), settings("s"))
                revision = await see(cluster)
                assert revision.status.counts.pruned == 2
                assert is_retired(one(cluster, ReplicationController, "x"))
                assert is_retired(one(cluster, ConfigMap, "s"))
                await asyncio.sleep(HOUR / 2)
            async with cluster.running():
                await see(cluster)
                assert one(cluster, ConfigMap, "s").metadata.deletion_timestamp is None
                await asyncio.sleep(HOUR / 2)
                assert cluster.registry.list(ConfigMap) == []
                assert cluster.registry.list(ReplicationController) == []

        virtual.run_until_complete(body())

    @pytest.mark.parametrize("hours", [-5, 5])
    def test_a_clock_that_is_set_neither_prolongs_a_rest_nor_ends_it_early(self, run, clock, hours):
        async def scenario(cluster):
            await see(cluster, controller("x"), settings("s"))
            await see(cluster)
            clock.jump = timedelta(hours=hours)
            await asyncio.sleep(HOUR / 2)
            cluster.sync.trigger()  # which plans everything anew
            await cluster.settled()
            for kind, name in ((ReplicationController, "x"), (ConfigMap, "s")):
                told = removal_of(one(cluster, kind, name)) - clock.now()
                assert abs(told - timedelta(minutes=30)) < timedelta(minutes=1)
            await asyncio.sleep(HOUR / 2 - 60)
            assert one(cluster, ConfigMap, "s").metadata.deletion_timestamp is None
            await asyncio.sleep(90)
            assert cluster.registry.list(ConfigMap) == []
            assert cluster.registry.list(ReplicationController) == []

        run(scenario)

    def test_a_clock_that_is_set_back_while_nobody_looks_costs_one_more_rest_at_most(
        self, virtual, clock
    ):
        async def body():
            cluster = Cluster(clock, care=CARE)
            async with cluster.running():
                await see(cluster, settings("s"))
                await see(cluster)
            clock.jump = timedelta(hours=-5)
            async with cluster.running():
                await see(cluster)
                await asyncio.sleep(HOUR + 90)
                assert cluster.registry.list(ConfigMap) == []

        virtual.run_until_complete(body())

    def test_declared_again_it_is_the_same_object(self, run):
        async def scenario(cluster):
            await see(cluster, controller("x"), settings("s", k="1"))
            before = one(cluster, ReplicationController, "x")
            await see(cluster)
            await see(cluster, controller("x"), settings("s", k="2"))
            after = one(cluster, ReplicationController, "x")
            assert after.metadata.uid == before.metadata.uid
            assert after.metadata.generation == before.metadata.generation
            assert REMOVE_AT not in after.metadata.annotations
            assert one(cluster, ConfigMap, "s").data == {"k": "2"}
            await asyncio.sleep(2 * HOUR)
            assert one(cluster, ConfigMap, "s").data == {"k": "2"}

        run(scenario)

    def test_undeleted_it_stays_until_it_was_declared_and_is_gone_again(self, run):
        async def scenario(cluster):
            await see(cluster, settings("s"))
            await see(cluster)
            resting = one(cluster, ConfigMap, "s")
            notes = {k: v for k, v in resting.metadata.annotations.items() if k != REMOVE_AT}
            back = resting.metadata.replace(annotations={**notes, UNDELETED: "now"})
            await cluster.client.update(resting.replace(metadata=back), manager="reconciler-cli")
            await asyncio.sleep(2 * HOUR)
            assert not is_retired(one(cluster, ConfigMap, "s"))
            await see(cluster, settings("s"))
            assert UNDELETED not in one(cluster, ConfigMap, "s").metadata.annotations
            await see(cluster)
            assert is_retired(one(cluster, ConfigMap, "s"))

        run(scenario)

    def test_a_namespace_rests_with_all_that_is_in_it(self, run):
        async def scenario(cluster):
            await see(cluster, settings("s"))
            other = snapshot(manifest("Namespace", "other"))
            cluster.feed.put(replace(other, message="reconciler.dev/approve: prune"))
            await until(lambda: is_retired(cluster.registry.get(Namespace, "web")))
            await cluster.settled()
            assert is_retired(one(cluster, ConfigMap, "s"))
            back = snapshot(WEB, settings("s"))
            cluster.feed.put(replace(back, message="reconciler.dev/approve: prune"))
            await until(lambda: not is_retired(cluster.registry.get(Namespace, "web")))
            await cluster.settled()
            assert not is_retired(one(cluster, ConfigMap, "s"))
            assert is_retired(cluster.registry.get(Namespace, "other"))

        run(scenario)

    def test_a_roll_back_revives_what_the_failed_one_dropped_and_leaves_nothing_of_its_own(
        self, run
    ):
        async def scenario(cluster):
            kept = service("kept", 30081)
            good = await see(cluster, controller("x"), kept)
            uid = one(cluster, Service, "kept").metadata.uid
            live = one(cluster, ReplicationController, "x")
            status = live.status.replace(
                replicas=1, ready_replicas=1, observed_generation=live.metadata.generation
            )
            await cluster.client.update(live.replace(status=status), subresource="status")
            await cluster.revision(good.spec.revision, "Healthy")
            before = cluster.content()
            shown = cluster.feed.show(WEB, controller("x", image="app:2"), settings("made"))
            await until(lambda: is_retired(one(cluster, Service, "kept")))
            await crash(cluster, "x")
            await cluster.revision(shown.revision, "RolledBack")
            await until(lambda: not is_retired(one(cluster, Service, "kept")))
            await cluster.settled()
            after = {k: v for k, v in cluster.content().items() if k.kind != "Pod"}
            assert after == before
            assert one(cluster, Service, "kept").metadata.uid == uid

        run(scenario)

    def test_a_roll_back_lets_rest_again_what_rested_before_the_failed_one(self, run):
        async def scenario(cluster):
            await see(cluster, controller("old"))
            uid = one(cluster, ReplicationController, "old").metadata.uid
            good = await see(cluster)
            await cluster.revision(good.spec.revision, "Healthy")
            await asyncio.sleep(2)
            shown = cluster.feed.show(WEB, controller("old", image="app:2"), settings("made"))
            await until(lambda: not is_retired(one(cluster, ReplicationController, "old")))
            await crash(cluster, "old")
            await cluster.revision(shown.revision, "RolledBack")
            await cluster.settled()
            old = one(cluster, ReplicationController, "old")
            assert old.metadata.uid == uid
            assert is_retired(old)
            assert old.metadata.deletion_timestamp is None
            assert cluster.registry.list(ConfigMap) == []
            await asyncio.sleep(HOUR + 1)
            assert cluster.registry.list(ReplicationController) == []

        run(scenario)
