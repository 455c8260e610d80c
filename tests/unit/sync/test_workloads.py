from __future__ import annotations

import pytest

from reconciler.model.meta import ObjectMeta, OwnerReference
from reconciler.model.pod import Pod
from reconciler.sync.outcome import predict
from reconciler.sync.plan import plan
from reconciler.sync.workloads import PodEffect, pod_effects
from tests.unit.sync.world import controller, desired, manifest, pod, settings, situation, stored

WEB = manifest("Namespace", "web")


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
        effect("restart", "p", 1, "spec.containers[app].image", gap=True),
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
