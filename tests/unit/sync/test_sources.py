"""Several sources at once: loops that come and go, bounds, variables, deletion."""

import asyncio

import pytest

from reconciler.model.gitops import Revision, Source
from reconciler.model.meta import ObjectKey
from reconciler.sync.care import APPROVE_ANNOTATION
from reconciler.sync.identity import source_of
from reconciler.sync.sources import FINALIZER
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import until
from tests.unit.sync.fleet import TWO, A, runner, source
from tests.unit.sync.world import WEB, manifest, settings


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock)


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
