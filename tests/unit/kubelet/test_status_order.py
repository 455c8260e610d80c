"""What a pod with init containers, sidecars, hooks, a deadline or ephemeral containers says."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kubelet.containerstatus import Facts, Waiting
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.status import pod_status
from reconciler.model.pod import Pod
from reconciler.model.podstatus import PodStatus
from tests.unit.kubelet.builders import NOW, container, pod, sandbox, seconds
from tests.unit.kubelet.test_plan_order import one, sidecar
from tests.unit.kubelet.test_status import HOST, conditions

LIVE = (sandbox(),)


def status(wanted: Pod, *containers: Any, facts: Facts = HOST, **seen: Any) -> PodStatus:
    observed = Observed(sandboxes=LIVE, containers=containers, **seen)
    return pod_status(wanted, observed, facts, NOW)


def waiting(found: PodStatus) -> list[str]:
    every = (*found.init_container_statuses, *found.container_statuses)
    return [s.state.waiting.reason if s.state.waiting else "" for s in every]


def test_a_pod_initializes() -> None:
    wanted = pod("app", initContainers=[one("first"), one("second")])
    found = status(wanted, container("first"))
    assert found.phase == "Pending"
    assert waiting(found) == ["", "PodInitializing", "PodInitializing"]
    assert conditions(found)["Initialized"] == ("False", "ContainersNotInitialized")
    words = next(c.message for c in found.conditions if c.type == "Initialized")
    assert words == "containers with incomplete status: [first second]"
    done = container("first", phase="exited"), container("second", phase="exited")
    found = status(wanted, *done, container())
    assert found.phase == "Running"
    assert [s.ready for s in found.init_container_statuses] == [True, True]
    assert conditions(found)["Initialized"] == ("True", "")
    assert conditions(found)["Ready"] == ("True", "")


@pytest.mark.parametrize(("policy", "phase"), [("Never", "Failed"), ("OnFailure", "Pending")])
def test_a_failed_init_container(policy: str, phase: str) -> None:
    wanted = pod("app", initContainers=[one("first")], restartPolicy=policy)
    found = status(wanted, container("first", 1, phase="exited", exit_code=1, backoff=10))
    assert found.phase == phase
    assert waiting(found)[0] == ("" if policy == "Never" else "CrashLoopBackOff")


def test_an_init_container_that_was_removed_keeps_its_result() -> None:
    wanted = pod("app", initContainers=[one("first")])
    before = status(wanted, container("first", phase="exited"), container())
    after = status(wanted.replace(status=before), container())
    assert after.init_container_statuses == before.init_container_statuses
    assert after == before


@pytest.mark.parametrize(("deleted", "phase"), [(NOW, "Running"), (None, "Failed")])
def test_what_ended_with_its_pod_keeps_its_result(deleted: Any, phase: str) -> None:
    """Though the containers were removed, by us or by hand (convertToAPIContainerStatuses)."""
    wanted = pod(deleted=deleted, phase=phase)
    before = status(wanted, container(phase="exited", exit_code=3))
    after = status(wanted.replace(status=before))
    assert after.container_statuses == before.container_statuses
    ended = after.container_statuses[0].state.terminated
    assert ended is not None
    assert (after.phase, ended.exit_code) == ("Failed", 3)


def ends(found: PodStatus) -> list[tuple[str, int | None]]:
    """Return the reasons, and exit codes, of all containers of a pod."""
    every = (*found.init_container_statuses, *found.container_statuses)
    waits = [each.state.waiting for each in every]
    ended = [each.state.terminated for each in every]
    return [
        (w.reason if w else t.reason if t else "Running", t.exit_code if t else None)
        for w, t in zip(waits, ended, strict=True)
    ]


UNKNOWN = ("ContainerStatusUnknown", 137)
NOT_BEGUN = ("PodInitializing", None)


def test_at_its_end_a_pod_says_that_containers_left_no_trace() -> None:
    """TerminatePod: who was never reached waits for ever, who could have begun has failed."""
    wanted = pod("app", initContainers=[one("first"), one("second")], deleted=NOW)
    assert ends(status(wanted)) == [UNKNOWN, NOT_BEGUN, NOT_BEGUN]
    done = container("first", phase="exited")
    assert ends(status(wanted, done)) == [("Completed", 0), NOT_BEGUN, NOT_BEGUN]
    second = container("second", phase="exited")
    through = status(wanted, done, second)
    assert ends(through) == [("Completed", 0), ("Completed", 0), UNKNOWN]
    assert through.phase == "Failed"
    assert status(wanted.replace(status=through)) == through
    runs = status(wanted, done, second, container())
    assert ends(runs)[2] == ("Running", None)
    vanished = status(wanted.replace(status=runs))
    assert ends(vanished)[2] == UNKNOWN
    assert vanished.container_statuses[0].last_state.terminated is not None


def test_containers_beside_a_sidecar_that_had_started_could_have_begun() -> None:
    wanted = pod("app", initContainers=[sidecar("side")])
    before = wanted.replace(status=status(wanted, container("side")))
    deleted = pod("app", initContainers=[sidecar("side")], deleted=NOW)
    dead = container("side", phase="exited", exit_code=143)
    assert ends(status(deleted, dead)) == [("Error", 143), NOT_BEGUN]
    found = status(deleted.replace(status=before.status), dead)
    assert ends(found) == [("Error", 143), UNKNOWN]


def test_a_container_that_vanished_was_running() -> None:
    before = status(pod(), container())
    (app,) = status(pod().replace(status=before)).container_statuses
    last = app.last_state.terminated
    assert last is not None
    assert (last.reason, last.exit_code) == UNKNOWN
    assert last.message == (
        "The container could not be located when the pod was deleted.  "
        "The container used to be Running"
    )


def test_a_sidecar_counts_for_readiness_and_not_for_the_end() -> None:
    wanted = pod("app", initContainers=[sidecar("side")], restartPolicy="Never")
    running = status(wanted, container("side"), container())
    assert conditions(running)["Ready"] == ("True", "")
    probed = {"exec": {"command": ["true"]}}
    unready = pod("app", initContainers=[sidecar("side", readinessProbe=probed)])
    assert conditions(status(unready, container("side"), container()))["Ready"][0] == "False"
    ended = container(phase="exited")
    assert status(wanted.replace(status=running), container("side"), ended).phase == "Running"
    stopped = container("side", phase="exited", exit_code=143)
    assert status(wanted.replace(status=running), stopped, ended).phase == "Succeeded"


def test_a_sidecar_that_restarts_does_not_undo_the_start() -> None:
    wanted = pod("app", initContainers=[sidecar("side")])
    dead = container("side", 1, phase="exited", exit_code=1, backoff=10)
    found = status(wanted, dead, container())
    assert found.phase == "Running"
    assert conditions(found)["Initialized"] == ("True", "")
    assert conditions(found)["ContainersReady"] == ("False", "ContainersNotReady")
    assert status(wanted, container("side"), hooks=frozenset({"side-0"})).phase == "Pending"


def test_a_running_post_start_hook_keeps_the_container_from_being_ready() -> None:
    (app,) = status(pod(), container(), hooks=frozenset({"app-0"})).container_statuses
    assert (app.ready, app.started) == (False, False)
    facts = Facts("h", waiting={"app": Waiting("PostStartHookError", "exit 1")})
    (app,) = status(pod(), container(phase="exited"), facts=facts).container_statuses
    assert app.state.waiting is not None
    assert app.state.waiting.reason == "PostStartHookError"


def test_a_pod_that_was_active_too_long_fails_when_nothing_of_it_runs() -> None:
    wanted = pod(activeDeadlineSeconds=60)
    start = {"start_time": "2026-01-01T11:00:00Z", "phase": "Running"}
    wanted = wanted.replace(status=wanted.status.replace(**start))
    assert status(wanted, container()).phase == "Running"
    found = status(wanted, container(phase="exited", exit_code=143))
    assert (found.phase, found.reason) == ("Failed", "DeadlineExceeded")
    assert found.message == "Pod was active on the node longer than the specified deadline"
    later = Observed(containers=(container(phase="exited", exit_code=143),))
    assert pod_status(wanted.replace(status=found), later, HOST, NOW + seconds(9)).phase == "Failed"


def test_ephemeral_containers_have_statuses_of_their_own() -> None:
    wanted = pod("app", ephemeralContainers=[one("debug")])
    found = status(wanted, container(), container("debug", phase="exited", exit_code=2))
    (debug,) = found.ephemeral_container_statuses
    assert debug.state.terminated is not None
    assert debug.state.terminated.exit_code == 2
    assert conditions(found)["Ready"] == ("True", "")
    assert found.phase == "Running"
    gone = status(wanted.replace(status=found), container())
    assert gone.ephemeral_container_statuses == found.ephemeral_container_statuses
