from __future__ import annotations

import pytest

from reconciler.model.meta import ManagedFieldsEntry, ObjectKey
from reconciler.sync.actions import (
    Adopt,
    Apply,
    Await,
    Create,
    Origin,
    Prune,
    Release,
    Replace,
)
from reconciler.sync.fields import FieldChange
from reconciler.sync.outcome import Impossible
from reconciler.sync.plan import Clean, Plan, plan, plan_keys, stage
from tests.unit.sync.world import (
    WEB,
    controller,
    desired,
    manifest,
    overlay,
    pod,
    service,
    settings,
    situation,
    stored,
)

GONE = "2026-01-01T00:00:00Z"


def deleting(obj):
    return obj.replace(metadata=obj.metadata.replace(deletion_timestamp=GONE))


def annotated(obj, **annotations):
    merged = {**obj.metadata.annotations, **annotations}
    return obj.replace(metadata=obj.metadata.replace(annotations=merged))


def summary(planned: Plan):
    return [(type(action).__name__, action.key.kind, action.key.name) for action in planned.actions]


def test_nothing_declared_and_nothing_live_needs_nothing():
    assert plan(situation({})).empty


def test_new_objects_are_created_in_the_order_in_which_they_need_one_another():
    declared = desired(pod("p"), controller("c"), service("s", 30001), settings("m"), WEB)
    planned = plan(situation(declared))
    assert summary(planned) == [
        ("Create", "Namespace", "web"),
        ("Create", "ConfigMap", "m"),
        ("Create", "Service", "s"),
        ("Create", "ReplicationController", "c"),
        ("Create", "Pod", "p"),
    ]


def test_the_whole_plan_of_a_changed_replica_count():
    declared = desired(WEB, controller("c", 5))
    live = stored(controller("c", 3))
    planned = plan(situation(declared, stored(WEB), live))
    (action,) = planned.actions
    assert isinstance(action, Apply)
    assert (action.key, action.origin, action.drift) == (live.key, Origin("all.yaml", 2), False)
    assert action.changes == (FieldChange("spec.replicas", 3, 5),)
    assert action.manifest["metadata"]["annotations"] == {
        "reconciler.dev/source": "main/ReplicationController/web/c"
    }


def test_a_second_plan_is_empty_and_remembers_so():
    declared = desired(WEB, controller("c"), settings("m", a="1"))
    live = [stored(each.manifest) for each in declared.values()]
    planned = plan(situation(declared, *live))
    assert planned.actions == ()
    assert planned.clean == {
        obj.key: Clean(declared[obj.key].content, obj.metadata.resource_version) for obj in live
    }


def test_what_is_known_clean_is_not_merged_again():
    declared = desired(WEB, settings("m", a="1"))
    live = [stored(each.manifest) for each in declared.values()]
    known = plan(situation(declared, *live)).clean

    def never(*_):
        pytest.fail("merged")

    assert plan(situation(declared, *live, clean=known, predict=never)).empty
    keys = list(declared)
    assert plan_keys(situation(declared, *live, clean=known, predict=never), keys).empty


def test_zero_replicas_is_a_wish_like_any_other():
    planned = plan(
        situation(desired(WEB, controller("c", 0)), stored(WEB), stored(controller("c", 3)))
    )
    assert [a.changes for a in planned.actions if isinstance(a, Apply)] == [
        (FieldChange("spec.replicas", 3, 0),)
    ]


def test_what_is_no_longer_declared_is_pruned_after_all_else_and_in_reverse_order():
    live = [
        stored(each) for each in (WEB, settings("old"), controller("old"), service("old", 30002))
    ]
    planned = plan(situation(desired(WEB, settings("new")), *live))
    assert summary(planned) == [
        ("Create", "ConfigMap", "new"),
        ("Prune", "ReplicationController", "old"),
        ("Prune", "Service", "old"),
        ("Prune", "ConfigMap", "old"),
    ]
    assert planned.actions[1] == Prune(live[2].key, "uid-old", "Background")


def test_an_annotation_leaves_the_pods_of_a_pruned_controller():
    old = annotated(stored(controller("old")), **{"reconciler.dev/on-prune": "orphan"})
    planned = plan(situation(desired(WEB), stored(WEB), old))
    assert planned.actions == (Prune(old.key, "uid-old", "Orphan"),)


def test_what_a_newer_revision_declares_that_waits_is_not_pruned_for_an_older_one():
    """A crash while a revision was applied may leave what the next one goes on with."""
    new = stored(controller("new"))
    declared = desired(WEB)
    waits = plan(situation(declared, stored(WEB), new, awaited={new.key: None}))
    assert waits.actions == ()
    assert waits.resting.keys() == {new.key}  # looked at again: that revision may give way
    assert plan(situation(declared, stored(WEB), new)).actions != ()


def test_an_empty_tree_prunes_nothing_and_says_so():
    planned = plan(situation({}, stored(WEB), stored(settings("m"))))
    assert planned.actions == ()
    (refusal,) = planned.refusals
    assert "no object at all while 2 came from it" in refusal.message


def test_objects_of_other_hands_and_copies_are_never_pruned():
    by_hand = stored(settings("by-hand"), source="")
    other = stored(settings("other"), source="second")
    copy = annotated(by_hand, **{"reconciler.dev/source": "main/ConfigMap/web/original"})
    keys = [by_hand.key, other.key]
    assert plan_keys(situation(desired(WEB), stored(WEB), by_hand, other), keys).empty
    assert plan(situation(desired(WEB), stored(WEB), copy, other)).empty


def test_an_object_made_by_hand_is_adopted_when_declared():
    declared = desired(WEB, settings("m", a="new"))
    planned = plan(situation(declared, stored(WEB), stored(settings("m", a="old"), source="")))
    (action,) = planned.actions
    assert isinstance(action, Adopt)
    assert action.former == ""
    assert [change.path for change in action.changes] == [
        "data.a",
        "metadata.annotations",
    ]


def test_an_object_of_another_source_moves_without_being_deleted():
    declared = desired(WEB, settings("m"))
    planned = plan(situation(declared, stored(WEB), stored(settings("m"), source="second")))
    (action,) = planned.actions
    assert isinstance(action, Adopt)
    assert action.former == "second"


def owned_by(obj, manager, fields):
    entry = ManagedFieldsEntry(manager=manager, operation="Update", fields_v1=fields)
    return obj.replace(metadata=obj.metadata.replace(managed_fields=(entry,)))


def test_a_change_by_hand_is_drift_and_names_its_author():
    live = owned_by(stored(controller("c", 7)), "kubectl-scale", {"f:spec": {"f:replicas": {}}})
    (action,) = plan(situation(desired(WEB, controller("c", 3)), stored(WEB), live)).actions
    assert isinstance(action, Apply)
    assert action.drift
    assert action.changes == (FieldChange("spec.replicas", 7, 3, owner="kubectl-scale"),)


def test_a_deletion_by_hand_is_drift_too():
    declared = desired(WEB, settings("m"))
    key = ObjectKey("ConfigMap", "web", "m")
    known = {key: Clean(declared[key].content, "1")}
    (action,) = plan(situation(declared, stored(WEB), clean=known)).actions
    assert isinstance(action, Create)
    assert action.drift


def test_a_new_declaration_is_no_drift():
    declared = desired(WEB, settings("m", a="2"))
    key = ObjectKey("ConfigMap", "web", "m")
    live = stored(settings("m", a="1"))
    known = {key: Clean("another declaration", "1")}
    (action,) = plan(situation(declared, stored(WEB), live, clean=known)).actions
    assert isinstance(action, Apply)
    assert not action.drift


def test_what_is_being_deleted_is_waited_for():
    planned = plan(situation(desired(WEB, pod("p")), stored(WEB), deleting(stored(pod("p")))))
    (action,) = planned.actions
    assert isinstance(action, Await)


def test_what_is_already_being_deleted_is_not_pruned_again():
    assert plan(situation(desired(WEB), stored(WEB), deleting(stored(pod("p"))))).empty


def test_nothing_is_created_in_a_namespace_that_is_going_away():
    planned = plan(situation(desired(WEB, pod("p")), deleting(stored(WEB))))
    assert [type(action) for action in planned.actions] == [Await, Await]


def test_an_object_without_its_namespace_rejects_the_whole_revision():
    planned = plan(situation(desired(settings("a"), settings("b"), controller("c"))))
    assert planned.actions == ()
    assert [(r.origin, r.path) for r in planned.refusals] == [
        (Origin("all.yaml", line), "metadata.namespace") for line in (1, 2, 3)
    ]


def test_a_namespace_may_exist_without_being_declared():
    planned = plan(situation(desired(settings("a")), stored(WEB, source="")))
    assert summary(planned) == [("Create", "ConfigMap", "a")]


def test_a_namespace_is_not_pruned_under_declared_objects():
    planned = plan(situation(desired(settings("a")), stored(WEB), stored(settings("a"))))
    assert planned.actions == ()
    assert [refusal.path for refusal in planned.refusals] == ["metadata.namespace"]


def test_a_namespace_that_kubernetes_keeps_is_let_go():
    default = manifest("Namespace", "default")
    planned = plan(situation(desired(WEB), stored(WEB), stored(default)))
    assert planned.actions == (Release(ObjectKey("Namespace", "", "default")),)


def impossible(live, applied, manager):
    after = overlay(live, applied, manager)
    return after if after == live else Impossible((("spec", "field is immutable"),), after)


def test_a_pod_is_replaced_where_kubernetes_lets_nobody_change_it():
    declared = desired(WEB, pod("p", hostname="new"))
    live = stored(pod("p", hostname="old"))
    planned = plan(situation(declared, stored(WEB), live, predict=impossible))
    assert planned.actions == (
        Replace(
            live.key,
            Origin("all.yaml", 2),
            "uid-p",
            (FieldChange("spec.hostname", "old", "new"),),
            drift=False,
        ),
    )


def test_an_impossible_change_of_anything_else_rejects_the_revision():
    declared = desired(WEB, service("s", 30002))
    live = stored(service("s", 30001))
    planned = plan(situation(declared, stored(WEB), live, predict=impossible))
    assert planned.actions == ()
    assert [(r.path, r.message) for r in planned.refusals] == [("spec", "field is immutable")]


def test_a_node_port_is_free_before_another_service_takes_it():
    declared = desired(WEB, service("new", 30001))
    live = [stored(WEB), stored(service("old", 30001)), stored(service("other", 30009))]
    planned = plan(situation(declared, *live))
    assert summary(planned) == [
        ("Prune", "Service", "old"),
        ("Create", "Service", "new"),
        ("Prune", "Service", "other"),
    ]
    assert [stage(action)[0] for action in planned.actions] == [0, 1, 2]


def test_secret_values_do_not_get_into_a_plan():
    declared = desired(WEB, manifest("Secret", "s", stringData={"key": "hunter2"}))
    live = stored(manifest("Secret", "s", data={"key": "b2xk"}))
    (action,) = plan(situation(declared, stored(WEB), live)).actions
    assert isinstance(action, Apply)
    assert action.changes == (FieldChange("data.key", "(redacted)", "(redacted)"),)
    assert "b2xk" not in repr(action)
    assert "hunter2" not in repr(action)
