from __future__ import annotations

import pytest

from reconciler.model.inplace import SHAPE, shape_of
from reconciler.model.meta import ObjectMeta, OwnerReference
from reconciler.model.pod import Pod
from reconciler.model.retirement import REMOVE_AT, STOPPED
from reconciler.sync.outcome import predict
from reconciler.sync.plan import plan
from reconciler.sync.workloads import PodEffect, pod_effects
from tests.unit.sync.test_plan import annotated
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


def owned_pod(name, rc):
    owner = OwnerReference(
        api_version="v1", kind=rc.kind, name=rc.metadata.name, uid=rc.metadata.uid, controller=True
    )
    metadata = ObjectMeta(name=name, namespace="web", uid=name, owner_references=(owner,))
    return Pod(metadata=metadata, spec=rc.spec.template.spec)


def effects(declared, *live):
    seen = situation(desired(WEB, *declared), stored(WEB), *live, predict=predict)
    return pod_effects(plan(seen), seen)


def effect(fate, name, count, cause, **more):
    return PodEffect(fate, "web", name, count, ("app",), cause, **more)


def test_a_new_controller_starts_its_pods():
    assert effects([controller("c", 3)]) == (
        effect("start", "c-*", 3, "ReplicationController web/c is new"),
    )
    assert effects([controller("c", 0)]) == ()


@pytest.mark.parametrize(("wanted", "fate", "count"), [(5, "start", 2), (1, "stop", 2)])
def test_a_replica_count_starts_or_stops_the_difference(wanted, fate, count):
    live = stored(controller("c", 3))
    assert effects([controller("c", wanted)], live) == (
        effect(fate, "c-*", count, "spec.replicas"),
    )


def test_a_new_image_replaces_each_pod_and_names_the_field():
    live = stored(controller("c", 2, "app:1"))
    pods = [owned_pod("c-1", live), owned_pod("c-2", live)]
    cause = "spec.template.spec.containers[app].image"
    assert effects([controller("c", 2, "app:2")], live, *pods) == (
        effect("replace", "c-1", 1, cause),
        effect("replace", "c-2", 1, cause),
    )


def test_what_does_not_touch_the_template_touches_no_pod():
    live = stored(controller("c", 2))
    assert effects([controller("c", 2, labels={"team": "x"})], live, owned_pod("c-1", live)) == ()
    assert effects([controller("c", 2), settings("new")], live, owned_pod("c-1", live)) == ()


def test_a_pruned_controller_stops_its_pods_or_leaves_them():
    live = stored(controller("c", 1))
    gone = "ReplicationController web/c is no longer declared"
    assert effects([], live, owned_pod("c-1", live)) == (effect("stop", "c-1", 1, gone),)
    kept = stored(controller("c", 1, annotations={"reconciler.dev/on-prune": "orphan"}))
    assert effects([], kept, owned_pod("c-1", kept)) == (effect("orphan", "c-1", 1, gone),)


def test_a_pod_is_replaced_with_a_gap_and_restarted_for_an_image_alone():
    live = stored(pod("p", "app:1"))
    assert effects([pod("p", "app:2")], live) == (
        effect("in-place", "p", 1, "spec.containers[app].image", gap=True),
    )
    assert effects([pod("p", "app:1", hostname="h")], live) == (
        effect("replace", "p", 1, "spec.hostname", gap=True),
    )


def test_a_pruned_namespace_stops_the_pods_in_it_once():
    other = manifest("Namespace", "other")
    by_hand = stored(manifest("Pod", "p", "other", spec=pod("p")["spec"]), source="")
    found = effects([], stored(other), by_hand)
    assert found == (
        PodEffect("stop", "other", "p", 1, ("app",), "Namespace other is no longer declared"),
    )


def test_pods_that_may_keep_their_shape_are_changed_in_place_when_that_is_asked_for():
    notes = {"reconciler.dev/update": "in-place"}
    live = stored(controller("c", 2, "app:1", annotations=notes))
    shape = {SHAPE: shape_of(live.spec.template)}
    pods = [annotated(owned_pod(name, live), **shape) for name in ("c-1", "c-2")]
    cause = "spec.template.spec.containers[app].image"
    assert effects([controller("c", 2, "app:2", annotations=notes)], live, *pods) == (
        effect("in-place", "c-1", 1, cause),
        effect("in-place", "c-2", 1, cause),
    )
    other = controller("c", 2, "app:2", annotations=notes)
    other["spec"]["template"]["spec"]["hostname"] = "h"
    assert {each.fate for each in effects([other], live, *pods)} == {"replace"}
    assert {each.fate for each in effects([controller("c", 2, "app:2")], live, *pods)} == {
        "replace"
    }
    alone = controller("c", 1, "app:2", annotations=notes)
    alone["spec"]["template"]["metadata"]["labels"]["tier"] = "front"
    told = effects([alone], stored(controller("c", 1, annotations=notes)), pods[0])
    assert told == (effect("in-place", "c-1", 1, cause, gap=True),)


def test_what_rested_goes_on_in_place():
    resting = annotated(stored(controller("c", 1)), **{REMOVE_AT: "2026-01-01T00:00:00Z"})
    pod_ = annotated(owned_pod("c-1", resting), **{STOPPED: "true"})
    cause = f"metadata.annotations[{REMOVE_AT}]"
    assert effects([controller("c", 1)], resting, pod_) == (effect("in-place", "c-1", 1, cause),)
