from __future__ import annotations

import pytest

from reconciler.model.claim import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
)
from reconciler.model.container import Container
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.podstatus import (
    LIVENESS_UNPROVEN,
    ContainerState,
    ContainerStateRunning,
    ContainerStateWaiting,
    ContainerStatus,
    PodCondition,
    PodStatus,
)
from reconciler.model.replication import (
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerSpec,
    ReplicationControllerStatus,
)
from reconciler.model.service import Service
from reconciler.model.storage import PersistentVolume, PersistentVolumeStatus
from reconciler.model.volumebinding import SELECTED_NODE
from reconciler.sync.health import HEALTHY, Health, State, health, waiting_reasons


def controller(*, generation=1, observed=1, ready=3, replicas=3, reason="RolloutComplete"):
    condition = ReplicationControllerCondition(
        type="Progressing", status="True", reason=reason, message="words"
    )
    return ReplicationController(
        metadata=ObjectMeta(name="web", namespace="d", generation=generation),
        spec=ReplicationControllerSpec(replicas=3),
        status=ReplicationControllerStatus(
            observed_generation=observed,
            ready_replicas=ready,
            replicas=replicas,
            conditions=(condition,) if reason else (),
        ),
    )


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (controller(), HEALTHY),
        (controller(reason=""), HEALTHY),
        (controller(ready=2), Health(State.PROGRESSING, "2 of 3 ready")),
        (controller(replicas=4), Health(State.PROGRESSING, "3 of 3 ready")),
        (controller(reason="RollingOut"), Health(State.PROGRESSING, "words")),
        (
            controller(reason="ProgressDeadlineExceeded"),
            Health(State.FAILED, "ProgressDeadlineExceeded: words"),
        ),
        (Service(metadata=ObjectMeta(name="s", namespace="d")), HEALTHY),
    ],
)
def test_health_of_an_object(obj, expected):
    assert health(obj) == expected


def claim(phase, selected=False, **spec):
    notes = {SELECTED_NODE: "n"} if selected else {}
    meta = ObjectMeta(name="c", namespace="d", annotations=notes)
    return PersistentVolumeClaim(
        metadata=meta,
        spec=PersistentVolumeClaimSpec(**spec),
        status=PersistentVolumeClaimStatus(phase=phase),
    )


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (claim("Bound", volume_name="v"), HEALTHY),
        (claim("Pending"), HEALTHY),  # it may wait for its first consumer
        (claim("Pending", selected=True), Health(State.PROGRESSING, "is not bound to a volume")),
        (claim("Pending", storage_class_name=""),
         Health(State.PROGRESSING, "is not bound to a volume")),
        (claim("Lost", volume_name="v"), Health(State.FAILED, "its volume is lost")),
        (PersistentVolume(status=PersistentVolumeStatus(phase="Failed", message="no plugin")),
         Health(State.FAILED, "no plugin")),
        (PersistentVolume(status=PersistentVolumeStatus(phase="Bound")), HEALTHY),
    ],
)  # fmt: skip
def test_health_of_storage(obj, expected):
    assert health(obj) == expected


def test_a_verdict_on_an_older_generation_does_not_count():
    stale = controller(generation=2, observed=1, reason="ProgressDeadlineExceeded")
    assert health(stale).state is State.PROGRESSING
    assert health(controller(generation=2, observed=1)).state is State.PROGRESSING


def test_what_is_being_deleted_is_not_healthy():
    obj = controller()
    gone = obj.replace(metadata=obj.metadata.replace(deletion_timestamp="2026-01-01T00:00:00Z"))
    assert health(gone).state is State.PROGRESSING


def pod(phase="Pending", conditions=(), statuses=()):
    status = PodStatus(phase=phase, conditions=conditions, container_statuses=statuses)
    return Pod(metadata=ObjectMeta(name="p", namespace="d"), status=status)


def test_pods():
    ready = PodCondition(type="Ready", status="True")
    assert health(pod("Running", (ready,))) == HEALTHY
    unproven = PodCondition(type=LIVENESS_UNPROVEN, status="True", message="not probed yet")
    waits = Health(State.PROGRESSING, "not probed yet")
    assert health(pod("Running", (ready, unproven))) == waits
    assert health(pod("Succeeded")) == HEALTHY
    assert health(pod("Failed")).state is State.FAILED
    assert health(pod("Running")).state is State.PROGRESSING


def test_a_pod_is_healthy_when_the_image_that_it_asks_for_runs():
    def changed(runs, asks):
        state = ContainerState(running=ContainerStateRunning())
        statuses = (ContainerStatus(name="web", image=runs, ready=True, state=state),)
        live = pod("Running", (PodCondition(type="Ready", status="True"),), statuses)
        spec = live.spec.replace(containers=(Container(name="web", image=asks),))
        return health(live.replace(spec=spec))

    assert changed("web:2", "web:2") == HEALTHY
    assert changed("web:1", "web:2") == Health(
        State.PROGRESSING, "container web: runs its former image yet"
    )


def test_a_waiting_pod_says_why():
    unscheduled = PodCondition(
        type="PodScheduled", status="False", reason="Unschedulable", message="0/1 nodes"
    )
    waiting = ContainerStatus(
        name="web",
        state=ContainerState(
            waiting=ContainerStateWaiting(reason="ImagePullBackOff", message="no such image")
        ),
    )
    assert waiting_reasons(pod(conditions=(unscheduled,))) == ("Unschedulable: 0/1 nodes",)
    reasons = waiting_reasons(pod(statuses=(waiting,)))
    assert reasons == ("container web: ImagePullBackOff: no such image",)
