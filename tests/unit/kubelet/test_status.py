"""The words about a pod that its user reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.kubelet.containerstatus import Facts, Waiting
from reconciler.kubelet.labels import NOT_RECURSIVE, PodContainer
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.qos import engine_resources, oom_score_adj, qos_class
from reconciler.kubelet.runtime import Resources
from reconciler.kubelet.status import pod_status
from reconciler.model.container import ResourceRequirements
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerUser, LinuxContainerUser, PodStatus
from tests.unit.kubelet.builders import NOW, container, pod, sandbox, seconds

LIVE = (sandbox(),)
HOST = Facts(host_ip="192.0.2.9")


def status(wanted: Pod | None = None, facts: Facts = HOST, **seen: Any) -> PodStatus:
    return pod_status(wanted or pod(), Observed(**seen), facts, NOW)


def conditions(found: PodStatus) -> dict[str, tuple[str, str]]:
    return {condition.type: (condition.status, condition.reason) for condition in found.conditions}


def test_a_new_pod_waits_for_its_containers() -> None:
    found = status(linked=False)
    assert found.to_dict() == {
        "phase": "Pending",
        "conditions": [
            _condition("PodReadyToStartContainers", "False"),
            _condition("Initialized", "True"),
            _condition("Ready", "False", "ContainersNotReady"),
            _condition("ContainersReady", "False", "ContainersNotReady"),
            _condition("PodScheduled", "True"),
        ],
        "hostIP": "192.0.2.9",
        "hostIPs": [{"ip": "192.0.2.9"}],
        "startTime": "2026-01-01T12:00:00Z",
        "containerStatuses": [
            {
                "name": "app",
                "state": {"waiting": {"reason": "ContainerCreating"}},
                "lastState": {},
                "ready": False,
                "restartCount": 0,
                "image": "app:1",
                "imageID": "",
                "started": False,
            }
        ],
        "qosClass": "BestEffort",
    }


def _condition(kind: str, value: str, reason: str = "") -> dict[str, Any]:
    condition = {
        "type": kind,
        "status": value,
        "lastProbeTime": None,
        "lastTransitionTime": "2026-01-01T12:00:00Z",
    }
    if reason:
        words = "containers with unready status: [app]"
        condition |= {"reason": reason, "message": words}
    return condition


def test_a_running_pod_is_ready_and_stays_as_it_is() -> None:
    found = status(sandboxes=LIVE, containers=(container(),))
    assert found.phase == "Running"
    assert found.pod_ip == "10.244.0.2"
    assert [ip.ip for ip in found.pod_ips] == ["10.244.0.2"]
    assert set(conditions(found).values()) == {("True", "")}
    (app,) = found.container_statuses
    assert (app.ready, app.started, app.container_id) == (True, True, "docker://app-0")
    again = pod_status(
        pod().replace(status=found),
        Observed(sandboxes=LIVE, containers=(container(),)),
        HOST,
        NOW + seconds(1000),
    )
    assert again == found


def test_mounts_and_resources_are_told_as_they_are() -> None:
    mounts = [
        {"name": "v", "mountPath": "/a"},
        {"name": "v", "mountPath": "/b", "readOnly": True},
        {"name": "v", "mountPath": "/c", "readOnly": True, "recursiveReadOnly": "IfPossible"},
        {"name": "v", "mountPath": "/d", "readOnly": True, "recursiveReadOnly": "IfPossible"},
    ]
    given = {"limits": {"cpu": "1"}, "requests": {"cpu": "500m"}}
    app = {"name": "app", "image": "app:1", "volumeMounts": mounts, "resources": given}
    wanted = pod(containers=[app], volumes=[{"name": "v", "emptyDir": {}}])
    runs = container()
    labels = {**runs.state.labels, NOT_RECURSIVE: "/d"}
    runs = PodContainer(replace(runs.state, labels=labels))
    (found,) = status(wanted, sandboxes=LIVE, containers=(runs,)).container_statuses
    modes = [(mount.mount_path, mount.recursive_read_only) for mount in found.volume_mounts]
    assert modes == [("/a", None), ("/b", "Disabled"), ("/c", "Enabled"), ("/d", "Disabled")]
    assert found.allocated_resources == {"cpu": "500m"}
    assert found.resources == wanted.spec.containers[0].resources


def test_probes_decide_readiness() -> None:
    probe = {"tcpSocket": {"port": 1}}
    wanted = pod(containers=[{"name": "app", "image": "app:1", "readinessProbe": probe}])
    seen = {"sandboxes": LIVE, "containers": (container(),)}
    assert not status(wanted, **seen).container_statuses[0].ready
    known = Facts(host_ip="h", ready={"app-0": True})
    assert status(wanted, known, **seen).container_statuses[0].ready
    slow = pod(containers=[{"name": "app", "image": "app:1", "startupProbe": probe}])
    (app,) = status(slow, **seen).container_statuses
    assert (app.ready, app.started) == (False, False)


def test_a_crash_loop_says_how_long() -> None:
    dead = container(attempt=2, phase="exited", exit_code=3, backoff=160)
    found = status(sandboxes=LIVE, containers=(dead,))
    assert found.phase == "Running"
    (app,) = found.container_statuses
    assert app.restart_count == 2
    assert app.state.waiting is not None
    assert app.state.waiting.reason == "CrashLoopBackOff"
    assert app.state.waiting.message == (
        "back-off 2m40s restarting failed container=app pod=web_default(uid-1)"
    )
    assert app.last_state.terminated is not None
    assert app.last_state.terminated.exit_code == 3
    assert app.last_state.terminated.reason == "Error"


def test_the_last_state_is_that_of_the_container_before() -> None:
    dead = container(phase="exited", exit_code=1)
    known = Facts(host_ip="h", messages={"app-0": "last words"})
    found = status(facts=known, sandboxes=LIVE, containers=(dead, container(attempt=1)))
    (app,) = found.container_statuses
    assert app.state.running is not None
    assert app.last_state.terminated is not None
    assert app.last_state.terminated.message == "last words"
    gone = pod_status(
        pod().replace(status=found),
        Observed(sandboxes=LIVE, containers=(container(attempt=1),)),
        HOST,
        NOW,
    )
    assert gone.container_statuses[0].last_state == app.last_state


def test_as_whom_a_container_began_is_told_by_the_next_kubelet_too() -> None:
    user = ContainerUser(linux=LinuxContainerUser(uid=5, gid=6, supplemental_groups=(7,)))
    known = Facts(host_ip="h", users={"app-0": user})
    found = status(facts=known, sandboxes=LIVE, containers=(container(),))
    assert found.container_statuses[0].user == user
    before = pod().replace(status=found)
    for attempt, expected in ((0, user), (1, None)):
        seen = Observed(sandboxes=LIVE, containers=(container(attempt=attempt),))
        assert pod_status(before, seen, HOST, NOW).container_statuses[0].user == expected


def test_a_reason_to_wait_is_told() -> None:
    known = Facts(host_ip="h", waiting={"app": Waiting("ErrImagePull", "no such image")})
    (app,) = status(facts=known, sandboxes=LIVE).container_statuses
    assert app.state.waiting is not None
    assert (app.state.waiting.reason, app.state.waiting.message) == (
        "ErrImagePull",
        "no such image",
    )


@pytest.mark.parametrize(
    ("policy", "codes", "phase"),
    [
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 1), "Failed"),
        ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 1), "Running"),
        ("Always", (0, 0), "Running"),
        ("Never", (0, None), "Running"),
    ],
)
def test_phases_are_kubernetes_own(policy: str, codes: tuple[Any, Any], phase: str) -> None:
    containers = tuple(
        container(name, phase="running")
        if code is None
        else container(name, phase="exited", exit_code=code)
        for name, code in zip("ab", codes, strict=True)
    )
    found = status(pod("a", "b", restartPolicy=policy), sandboxes=LIVE, containers=containers)
    assert found.phase == phase
    if phase in ("Succeeded", "Failed"):
        reason = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}[phase]
        assert conditions(found)["Ready"] == ("False", reason)


def test_a_terminal_phase_is_for_ever() -> None:
    found = status(pod(phase="Succeeded"), containers=())
    assert found.phase == "Succeeded"


def test_readiness_gates_hold_the_pod_back() -> None:
    gated = pod(readinessGates=[{"conditionType": "example.com/gate"}])
    found = status(gated, sandboxes=LIVE, containers=(container(),))
    assert conditions(found)["ContainersReady"] == ("True", "")
    assert conditions(found)["Ready"] == ("False", "ReadinessGatesNotReady")


def test_a_pod_that_lost_its_sandbox_is_not_ready() -> None:
    found = status(sandboxes=(sandbox(phase="exited"),), containers=(container(),), linked=False)
    assert found.pod_ip == ""
    assert conditions(found)["Ready"][0] == "False"


def resources(limits: dict[str, str], requests: dict[str, str]) -> dict[str, Any]:
    return {
        "containers": [
            {"name": "app", "image": "i", "resources": {"limits": limits, "requests": requests}}
        ]
    }


@pytest.mark.parametrize(
    ("limits", "requests", "quality", "score"),
    [
        ({}, {}, "BestEffort", 1000),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed", -997),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "512Mi"}, "Burstable", 969),
        ({}, {"memory": "15Gi"}, "Burstable", 63),
        ({}, {"cpu": "1"}, "Burstable", 999),
        ({"memory": "1Gi"}, {"memory": "1Gi"}, "Burstable", 938),
    ],
)
def test_quality_of_service(
    limits: dict[str, str], requests: dict[str, str], quality: str, score: int
) -> None:
    spec = pod(**resources(limits, requests)).spec
    assert qos_class(spec) == quality
    assert oom_score_adj(spec, spec.containers[0], 16 << 30) == score


def test_limits_in_the_engines_units() -> None:
    wanted = ResourceRequirements(limits={"cpu": "250m", "memory": "64Mi"}, requests={})
    assert engine_resources(wanted) == Resources(64 << 20, 256, 25_000, 100_000)
    assert engine_resources(ResourceRequirements()) == Resources(cpu_shares=2)
    assert engine_resources(ResourceRequirements(requests={"cpu": "2"})).cpu_shares == 2048
