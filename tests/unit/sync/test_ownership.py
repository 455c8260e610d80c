"""Which source an object belongs to: conflicts, and moves from one source to another."""

import asyncio
from dataclasses import replace

import pytest

from reconciler.model.config import ConfigMap
from reconciler.model.gitops import SourceSpec
from reconciler.model.meta import ObjectKey
from reconciler.model.retirement import is_retired
from reconciler.sync.identity import source_of
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import TRUSTING, snapshot, until
from tests.unit.sync.fleet import A, Fleet, runner, source
from tests.unit.sync.world import WEB, manifest, settings


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock)


def condition(found, kind):
    return next((c for c in found.status.conditions if c.type == kind), None)


def test_of_two_that_claim_an_object_the_first_keeps_it_and_both_say_so(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, settings("a", from_="one"))
        second = await fleet.apply("two", settings("b"), settings("a", from_="two"))
        assert second.status.phase == "Rejected"
        (error,) = second.status.errors
        assert (error.file, error.line, error.object) == ("00001.yaml", 1, str(A))
        assert 'belongs to source "one", which declares it at 00001.yaml:1:1' in error.message
        assert fleet.live.objects[A].data == {"from_": "one"}
        assert not fleet.uid(ObjectKey("ConfigMap", "web", "b"))
        told = await until(lambda: condition(fleet.source("one"), "Conflict"))
        assert (told.status, told.message) == (
            "True", f'{A} is also declared by source "two" at 00001.yaml:1:1',
        )  # fmt: skip
        assert fleet.source("one").status.phase == "Healthy"
        assert (await fleet.apply("two", settings("b"))).status.phase == "Healthy"
        await until(lambda: condition(fleet.source("one"), "Conflict").status == "False")

    run(scenario)


def test_an_object_moves_when_the_other_source_declares_it_first(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, settings("a"), settings("c"))
        before = fleet.uid(A)
        assert (await fleet.apply("two", settings("a"))).status.phase == "Rejected"
        await fleet.apply("one", WEB, settings("c"))
        await until(lambda: source_of(fleet.live.objects[A]) == "two")
        assert fleet.uid(A) == before
        await until(lambda: fleet.source("two").status.phase == "Healthy")
        assert fleet.source("one").status.phase == "Healthy"

    run(scenario)


def test_an_object_that_its_heir_no_longer_wants_is_pruned_after_all(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, settings("a"), settings("c"))
        other = manifest("ConfigMap", "d", namespace="nowhere")
        refused = await fleet.apply("two", settings("a"), other)
        assert refused.status.phase == "Rejected"
        await fleet.apply("one", WEB, settings("c"))
        assert fleet.uid(A)
        await fleet.apply("two", settings("b"))
        await until(lambda: not fleet.uid(A))

    run(scenario)


def test_after_a_restart_nobody_takes_what_another_has_not_read_yet(run):
    async def first(fleet):
        await fleet.apply("one", WEB, settings("a", from_="one"))
        await fleet.apply("two", settings("b"))

    async def second(fleet):
        refused = await fleet.apply("two", settings("b"), settings("a", from_="two"))
        assert refused.status.phase == "Rejected"
        assert "that was not read yet" in refused.status.errors[0].message
        await fleet.apply("one", WEB)
        await until(lambda: source_of(fleet.live.objects[A]) == "two")

    run(second, fleet=run(first))


def test_a_config_map_by_hand_is_in_no_inventory(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB)
        mine = ConfigMap.model_validate({"metadata": {"name": "mine", "namespace": "web"}})
        await fleet.client.create(mine, manager="hand")
        await fleet.apply("one", WEB, settings("a"))
        assert fleet.uid(ObjectKey("ConfigMap", "web", "mine"))

    run(scenario)


ONE_REPOSITORY = {
    name: SourceSpec(url="https://git.example.com/all", sub_path=name) for name in ("one", "two")
}


def show_commit(fleet, name, commit, *manifests):
    """Show a folder of a commit; the whole commit has one id."""
    shown = snapshot(*manifests)
    fleet.feed(name).put(replace(shown, revision=commit * 40))


RESTING = Care(prune_threshold=100, prune_keep=3600)


def untouched(fleet, uid):
    """Say that nobody made the object anew, or let it rest: its pods would have stopped."""
    return fleet.uid(A) == uid and not is_retired(fleet.live.objects[A])


@pytest.mark.parametrize("care", [TRUSTING, RESTING])
def test_an_object_moves_between_the_folders_of_one_commit_whoever_sees_it_first(run, clock, care):
    async def scenario(fleet):
        show_commit(fleet, "one", "a", WEB, settings("a"), settings("c"))
        show_commit(fleet, "two", "a", settings("b"))
        await until(lambda: fleet.uid(A) and fleet.source("two").status.phase == "Healthy")
        before = fleet.uid(A)
        show_commit(fleet, "one", "b", WEB, settings("c"))
        await until(lambda: fleet.feed("two").looks > 0)
        assert untouched(fleet, before)
        show_commit(fleet, "two", "b", settings("b"), settings("a"))
        await until(lambda: source_of(fleet.live.objects[A]) == "two")
        assert untouched(fleet, before)
        await until(lambda: fleet.source("one").status.phase == "Healthy")

    fleet = Fleet(clock, ONE_REPOSITORY)
    fleet.care["one"] = care
    run(scenario, fleet=fleet)


def test_an_object_moves_to_a_source_that_the_same_commit_declares(run, clock):
    new = source("new", url="https://git.example.com/all", subPath="new", namespaces=["web"])

    async def scenario(fleet):
        show_commit(fleet, "one", "a", settings("a"), settings("c"))
        show_commit(fleet, "two", "a", WEB, settings("b"))
        await until(lambda: fleet.uid(A) and fleet.source("two").status.phase == "Healthy")
        before = fleet.uid(A)
        show_commit(fleet, "one", "b", settings("c"))
        show_commit(fleet, "two", "b", WEB, settings("b"), new)
        await until(lambda: "new" in fleet.sources.loops)
        await asyncio.sleep(5)  # to clone takes longer than to plan
        assert untouched(fleet, before)
        show_commit(fleet, "new", "b", settings("a"))
        await until(lambda: source_of(fleet.live.objects[A]) == "new")
        assert untouched(fleet, before)

    fleet = Fleet(clock, ONE_REPOSITORY)
    fleet.care["one"] = RESTING
    run(scenario, fleet=fleet)


def test_a_folder_that_does_not_look_delays_a_prune_but_does_not_stop_it(run):
    async def scenario(fleet):
        show_commit(fleet, "one", "a", WEB, settings("a"), settings("c"))
        show_commit(fleet, "two", "a", settings("b"))
        await until(lambda: fleet.uid(A) and fleet.source("two").status.phase == "Healthy")
        show_commit(fleet, "one", "b", WEB, settings("c"))
        await until(lambda: not fleet.uid(A))

    run(scenario, declared=ONE_REPOSITORY)
