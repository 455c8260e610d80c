"""Several sources at once: loops that come and go, conflicts, objects that move, deletion."""

import asyncio
from dataclasses import replace

import pytest

from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Revision, Source, SourceSpec
from reconciler.model.meta import ObjectKey
from reconciler.model.retirement import is_retired
from reconciler.sync.care import APPROVE_ANNOTATION
from reconciler.sync.identity import source_of
from reconciler.sync.sources import FINALIZER
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import TRUSTING, snapshot, until
from tests.unit.sync.fleet import Fleet, source
from tests.unit.sync.world import WEB, manifest, settings

A = ObjectKey("ConfigMap", "web", "a")
TWO = {name: SourceSpec(url=f"https://git.example.com/{name}") for name in ("one", "two")}


@pytest.fixture
def run(virtual, clock):
    """Run a scenario on a fleet with the sources `one` and `two`."""

    def run(scenario, declared=TWO, fleet=None):
        fleet = fleet or Fleet(clock, declared)

        async def go():
            async with fleet.running():
                await scenario(fleet)

        virtual.run_until_complete(go())
        return fleet

    return run


def condition(found, kind):
    return next((c for c in found.status.conditions if c.type == kind), None)


async def delete(fleet, name):
    await fleet.client.delete(Source, name)


async def approve(fleet, revision):
    live = await fleet.client.get(Revision, revision.metadata.name)
    notes = {APPROVE_ANNOTATION: live.status.plan_hash}
    await fleet.client.update(live.replace(metadata=live.metadata.replace(annotations=notes)))


def test_each_source_of_the_settings_is_followed(run):
    async def scenario(fleet):
        assert (await fleet.apply("one", WEB, settings("a"))).status.phase == "Healthy"
        assert (await fleet.apply("two", settings("b"))).status.phase == "Healthy"
        assert source_of(fleet.live.objects[A]) == "one"
        assert fleet.source("two").status.phase == "Healthy"
        assert FINALIZER in fleet.source("one").metadata.finalizers

    run(scenario)


def test_a_source_that_git_declares_is_followed_within_its_bounds(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, source("team", namespaces=["web"]))
        assert (await fleet.apply("team", settings("a"))).status.phase == "Healthy"
        refused = await fleet.apply("team", settings("a"), manifest("Namespace", "other"))
        assert refused.status.phase == "Rejected"
        assert refused.status.errors[0].file == "00001.yaml"
        assert "may write to namespace web alone" in refused.status.errors[0].message
        assert fleet.uid(A)

    run(scenario)


def test_an_object_without_a_namespace_goes_to_the_sources_own(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, source("team", namespaces=["web"]))
        bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
        assert (await fleet.apply("team", bare)).status.phase == "Healthy"
        assert fleet.uid(A)

    run(scenario)


def test_bounds_that_narrow_reject_what_lies_outside_and_leave_it(run):
    async def scenario(fleet):
        other = manifest("Namespace", "other")
        await fleet.apply("one", WEB, other, source("team", namespaces=["web", "other"]))
        moved = manifest("ConfigMap", "a", namespace="other")
        shown = await fleet.apply("team", settings("a"), moved)
        assert shown.status.phase == "Healthy"
        await fleet.apply("one", WEB, other, source("team", namespaces=["web"]))
        await until(lambda: fleet.started.count("team") == 2)
        fleet.feed("team").show(settings("a"), moved)
        await until(lambda: fleet.source("team").status.phase == "Rejected")
        assert fleet.uid(ObjectKey("ConfigMap", "other", "a"))

    run(scenario)


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


def test_suspending_one_source_leaves_the_others(run):
    async def scenario(fleet):
        live = fleet.source("one") or await until(lambda: fleet.source("one"))
        await fleet.client.update(live.replace(spec=live.spec.replace(suspend=True)))
        await until(lambda: fleet.source("one").status.phase == "Suspended")
        fleet.feed("one").show(WEB)
        assert (await fleet.apply("two", WEB)).status.phase == "Healthy"
        assert fleet.started.count("one") == 1
        live = fleet.source("one")
        await fleet.client.update(live.replace(spec=live.spec.replace(suspend=False)))
        await until(lambda: fleet.source("one").status.phase != "Suspended")

    run(scenario)


def test_a_changed_spec_starts_the_loop_anew_and_touches_nothing(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, source("team", namespaces=["web"]))
        await fleet.apply("team", settings("a"))
        before = fleet.live.objects[A].metadata.resource_version
        await fleet.apply("one", WEB, source("team", namespaces=["web"], branch="next"))
        await until(lambda: fleet.started.count("team") == 2)
        await fleet.apply("team", settings("a"))
        assert fleet.live.objects[A].metadata.resource_version == before

    run(scenario)


def test_deleting_a_source_waits_for_approval_and_then_prunes(run):
    async def scenario(fleet):
        fleet.care["two"] = Care()
        await fleet.apply("one", WEB)
        await fleet.apply("two", settings("a"))
        await delete(fleet, "two")
        held = await fleet.revision("two", "deleted", "Held")
        assert "1 of 1 objects (100 %) would be deleted" in held.status.message
        assert fleet.uid(A)
        assert fleet.source("two")
        await approve(fleet, held)
        await until(lambda: fleet.source("two") is None)
        assert not fleet.uid(A)
        assert {r.spec.source for r in fleet.registry.list(Revision)} == {"one"}
        assert "two" not in fleet.sources.loops

    run(scenario)


def test_a_deleted_source_that_prunes_nothing_leaves_its_objects(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, source("team", namespaces=["web"], prune=False))
        await fleet.apply("team", settings("a"))
        await fleet.apply("one", WEB, settings("c"))
        await until(lambda: fleet.source("team") is None)
        assert fleet.uid(A)

    run(scenario)


def test_the_declarers_approval_covers_the_source_that_it_drops(run):
    async def scenario(fleet):
        fleet.care |= {"one": Care(prune_threshold=90), "team": Care()}
        rest = [WEB, settings("x"), settings("y"), settings("z")]
        await fleet.apply("one", *rest, source("team", namespaces=["web"]))
        await fleet.apply("team", settings("a"))
        held = await fleet.apply("one", *rest)
        assert held.status.phase == "Held"
        assert "would be deleted with the 1 object it declares" in held.status.message
        await fleet.apply("team", settings("a"), settings("b"))
        await approve(fleet, held)  # of what was shown then
        await asyncio.sleep(60)
        assert fleet.uid(A)
        again = await fleet.revision("one", held.spec.revision, "Held")
        assert "with the 2 objects it declares" in again.status.message
        await approve(fleet, again)
        await until(lambda: fleet.source("team") is None)
        assert not fleet.uid(A)

    run(scenario)


def test_a_source_that_left_the_settings_is_held_and_may_come_back(run, clock):
    async def first(fleet):
        fleet.care["two"] = Care()
        await fleet.apply("one", WEB)
        await fleet.apply("two", settings("a"))

    async def without(fleet):
        await fleet.revision("two", "deleted", "Held")
        assert fleet.uid(A)

    async def again(fleet):
        assert (await fleet.apply("two", settings("a"))).status.phase == "Healthy"

    fleet = run(first)
    fleet.declared = {"one": TWO["one"]}
    run(without, fleet=fleet)
    fleet.declared = TWO
    run(again, fleet=fleet)


def test_a_source_with_bounds_cannot_let_another_write_more(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, source("team", namespaces=["web"]))
        refused = await fleet.apply("team", source("sub", namespaces=["web", "other"]))
        assert refused.status.phase == "Rejected"
        assert refused.status.errors[0].field == "spec.namespaces[1]"
        assert fleet.source("sub") is None
        await fleet.apply("team", source("sub", namespaces=["web"]))
        assert (await fleet.apply("sub", settings("a"))).status.phase == "Healthy"

    run(scenario)


def test_a_request_on_the_object_makes_the_source_look(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB)
        live = fleet.source("one")
        notes = {**live.metadata.annotations, "reconciler.dev/requested-at": "now"}
        await fleet.client.update(live.replace(metadata=live.metadata.replace(annotations=notes)))
        await until(lambda: fleet.feed("one").triggers == 1)
        await asyncio.sleep(1)
        assert (fleet.feed("one").triggers, fleet.feed("two").triggers) == (1, 0)

    run(scenario)


def test_what_one_source_does_is_no_news_to_the_others(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, settings("a"))
        await fleet.apply("two", settings("b"))
        await asyncio.sleep(1)
        told = []
        fleet.live.join("two", lambda *change: told.append(change))
        await fleet.apply("one", WEB, settings("a", more="x"))
        assert told == []

    run(scenario)


def test_a_fault_in_one_loop_costs_the_others_nothing(run):
    async def scenario(fleet):
        async def broken():
            raise RuntimeError("broken on purpose")
            yield

        feed = fleet.feed("two")
        working, feed.snapshots = feed.snapshots, broken
        live = fleet.source("two") or await until(lambda: fleet.source("two"))
        await fleet.client.update(live.replace(spec=live.spec.replace(branch="next")))
        await fleet.apply("one", WEB)
        feed.snapshots = working
        assert (await fleet.apply("two", settings("a"))).status.phase == "Healthy"

    run(scenario)


def test_a_config_map_by_hand_is_in_no_inventory(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB)
        mine = ConfigMap.model_validate({"metadata": {"name": "mine", "namespace": "web"}})
        await fleet.client.create(mine, manager="hand")
        await fleet.apply("one", WEB, settings("a"))
        assert fleet.uid(ObjectKey("ConfigMap", "web", "mine"))

    run(scenario)


VARS = manifest("ConfigMap", "vars", data={"LEVEL": "info"})
TEMPLATED = settings("a", level="${LEVEL}")


def with_variables(name="team", **more):
    return source(
        name, namespaces=["web"], substituteFrom=[{"kind": "ConfigMap", "name": "vars"}], **more
    )


def test_a_changed_config_map_renders_anew(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, VARS, with_variables())
        first = await fleet.apply("team", TEMPLATED)
        assert first.status.phase == "Healthy"
        assert fleet.live.objects[A].data == {"level": "info"}
        before = fleet.uid(A)
        changed = manifest("ConfigMap", "vars", data={"LEVEL": "debug"})
        await fleet.apply("one", WEB, changed, with_variables())
        await until(lambda: fleet.live.objects[A].data == {"level": "debug"})
        assert fleet.uid(A) == before
        await until(lambda: [r.spec.sequence for r in fleet.live.revisions("team")] == [1, 2])
        assert {r.spec.revision for r in fleet.live.revisions("team")} == {first.spec.revision}

    run(scenario)


def test_variables_that_are_missing_reject_the_revision_until_they_come(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, with_variables())
        rejected = await fleet.apply("team", TEMPLATED)
        assert rejected.status.phase == "Rejected"
        (error,) = rejected.status.errors
        assert error.field == "spec.substituteFrom[0]"
        assert error.message == "ConfigMap web/vars does not exist"
        await fleet.apply("one", WEB, VARS, with_variables())
        await until(lambda: fleet.uid(A))
        await until(lambda: fleet.source("team").status.phase == "Healthy")
        lost = manifest("ConfigMap", "vars", data={"OTHER": "x"})
        await fleet.apply("one", WEB, lost, with_variables())
        await until(lambda: fleet.source("team").status.phase == "Rejected")
        assert "variable LEVEL has no value" in fleet.source("team").status.message
        assert fleet.live.objects[A].data == {"level": "info"}

    run(scenario)


def test_a_config_map_that_changes_nothing_is_no_news(run):
    async def scenario(fleet):
        await fleet.apply("one", WEB, VARS, with_variables())
        await fleet.apply("team", TEMPLATED)
        before = fleet.live.objects[A].metadata.resource_version
        more = manifest("ConfigMap", "vars", data={"LEVEL": "info", "UNUSED": "x"})
        await fleet.apply("one", WEB, more, with_variables())
        await asyncio.sleep(2)
        assert fleet.live.objects[A].metadata.resource_version == before

    run(scenario)


@pytest.mark.parametrize(
    "key", [{"secretRef": {"name": "key"}}, {"verify": {"secretRef": {"name": "key"}}}]
)
def test_a_new_credential_or_signers_key_makes_the_source_look(run, key):
    async def scenario(fleet):
        secret = manifest("Secret", "key", stringData={"token": "one"})
        await fleet.apply("one", WEB, secret, source("team", namespaces=["web"], **key))
        await until(lambda: "team" in fleet.sources.loops)
        await asyncio.sleep(1)
        before = fleet.feed("team").looks
        again = manifest("Secret", "key", stringData={"token": "two"})
        await fleet.apply("one", WEB, again, source("team", namespaces=["web"], **key))
        await until(lambda: fleet.feed("team").looks == before + 1)

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
