"""Which container is due when, init containers and sidecars too, and in which order all end."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kubelet.actions import (
    BeginStop,
    CreateSandbox,
    KillContainer,
    Plan,
    RemoveSandbox,
    StartContainer,
    StopContainer,
)
from reconciler.kubelet.observed import Condemned, Observed, Stopping
from reconciler.kubelet.plan import plan
from reconciler.model.pod import Pod
from tests.unit.kubelet.builders import NOW, container, pod, sandbox, seconds

LIVE = (sandbox(),)
PROBE = {"exec": {"command": ["true"]}}
HOOK = {"preStop": {"sleep": {"seconds": 5}}}


def one(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "app:1", **fields}


def sidecar(name: str, **fields: Any) -> dict[str, Any]:
    return one(name, restartPolicy="Always", **fields)


def planned(wanted: Pod, *containers: Any, now: Any = NOW, **seen: Any) -> Plan:
    return plan(wanted, Observed(sandboxes=LIVE, containers=containers, **seen), now)


def starts(made: Plan) -> list[tuple[str, int]]:
    return [(a.name, a.attempt) for a in made.actions if isinstance(a, StartContainer)]


INITS = pod("app", initContainers=[one("first"), one("second")])


def test_init_containers_run_one_by_one() -> None:
    first, second = container("first"), container("second")
    done = container("first", phase="exited"), container("second", phase="exited")
    assert starts(planned(INITS)) == [("first", 0)]
    assert planned(INITS, first) == Plan()
    assert starts(planned(INITS, done[0])) == [("second", 0)]
    assert planned(INITS, done[0], second) == Plan()
    assert starts(planned(INITS, *done)) == [("app", 0)]
    assert planned(INITS, *done, container()) == Plan()


def test_an_init_container_that_failed_is_tried_again_with_back_off() -> None:
    failed = container("first", phase="exited", exit_code=1)
    assert starts(planned(INITS, failed)) == [("first", 1)]
    again = container("first", 1, phase="exited", exit_code=1, backoff=10)
    assert planned(INITS, again) == Plan((), NOW + seconds(10))


def test_an_init_container_that_failed_for_good_ends_the_pod() -> None:
    wanted = pod("app", initContainers=[sidecar("side"), one("first")], restartPolicy="Never")
    failed = container("first", phase="exited", exit_code=1)
    assert planned(wanted, container("side"), failed) == Plan(
        (StopContainer("side-0", "side", NOW + seconds(30), "Stopping container side"),)
    )
    assert planned(wanted, container("side", phase="exited"), failed) == Plan()


def test_init_containers_whose_traces_are_gone_are_not_run_under_a_container_that_started() -> None:
    assert planned(INITS, container()) == Plan()
    assert starts(planned(INITS, container(phase="exited", exit_code=1))) == [("app", 1)]


def test_a_new_sandbox_begins_anew_with_the_first() -> None:
    old = container("first", phase="exited"), container("second", phase="exited")
    made = plan(
        INITS,
        Observed(sandboxes=(sandbox(1),), containers=(*old, container(phase="exited"))),
        NOW,
    )
    assert starts(made) == [("first", 1)]


def test_a_sidecar_holds_back_what_follows_until_it_has_started() -> None:
    wanted = pod("app", initContainers=[sidecar("side", startupProbe=PROBE), one("first")])
    running = container("side")
    assert starts(planned(wanted)) == [("side", 0)]
    assert planned(wanted, running) == Plan()
    assert starts(planned(wanted, running, started={"side-0": True})) == [("first", 0)]
    hooked = pod("app", initContainers=[sidecar("side")])
    assert planned(hooked, running, hooks=frozenset({"side-0"})) == Plan()
    assert starts(planned(hooked, running)) == [("app", 0)]


def test_a_sidecar_is_restarted_whatever_the_pod_is_doing() -> None:
    wanted = pod("app", initContainers=[sidecar("side"), one("first")], restartPolicy="Never")
    dead = container("side", phase="exited")
    assert starts(planned(wanted, dead, container("first"))) == [("side", 1)]
    done = container("first", phase="exited")
    assert starts(planned(wanted, dead, done, container())) == [("side", 1)]


def test_sidecars_end_when_the_pod_is_done_the_last_one_first() -> None:
    wanted = pod("app", initContainers=[sidecar("one"), sidecar("two")], restartPolicy="Never")
    dead = container(phase="exited")
    begun = planned(wanted, container("one"), container("two"), dead)
    assert begun == Plan(
        (
            BeginStop("one-0", "one", NOW + seconds(30), "Stopping container one", hook=False),
            StopContainer("two-0", "two", NOW + seconds(30), "Stopping container two"),
        )
    )
    waiting = {"one-0": Stopping(NOW, NOW + seconds(30))}
    two = container("two", phase="exited", exit_code=143)
    assert planned(wanted, container("one"), two, dead, stopping=waiting) == Plan(
        (StopContainer("one-0", "one", NOW + seconds(30), "Stopping container one"),)
    )


def test_sidecars_wait_for_the_containers_proper_at_most_their_grace() -> None:
    wanted = pod("app", initContainers=[sidecar("side")], deleted=NOW + seconds(30))
    stopping = {
        "app-0": Stopping(NOW, NOW + seconds(30), NOW),
        "side-0": Stopping(NOW, NOW + seconds(30)),
    }
    seen = container("side"), container()
    late = NOW + seconds(30)
    assert planned(wanted, *seen, stopping=stopping) == Plan((), late)
    assert planned(wanted, *seen, stopping=stopping, now=late) == Plan(
        (
            KillContainer("app-0", "app"),
            StopContainer("side-0", "side", late + seconds(2), "Stopping container side"),
        )
    )


def test_a_pre_stop_hook_runs_inside_the_grace() -> None:
    wanted = pod(containers=[one("app", lifecycle=HOOK)], deleted=NOW + seconds(30))
    words = "Stopping container app"
    assert planned(wanted, container(), let_go=NOW + seconds(1)).actions == (
        BeginStop("app-0", "app", NOW + seconds(30), words, hook=True),
    )
    begun = {"app-0": Stopping(NOW, NOW + seconds(30))}
    hooks = frozenset({"app-0"})
    assert planned(wanted, container(), stopping=begun, hooks=hooks) == Plan((), NOW + seconds(30))
    at = NOW + seconds(5)
    assert planned(wanted, container(), stopping=begun, now=at) == Plan(
        (StopContainer("app-0", "app", NOW + seconds(30), words),)
    )
    late = NOW + seconds(30)
    assert planned(wanted, container(), stopping=begun, hooks=hooks, now=late) == Plan(
        (StopContainer("app-0", "app", late + seconds(2), words),)
    )


def test_a_signal_leaves_at_least_two_seconds() -> None:
    wanted = pod(deleted=NOW + seconds(1), grace=1)
    assert planned(wanted, container()).actions == (
        StopContainer("app-0", "app", NOW + seconds(2), "Stopping container app"),
    )
    signalled = {"app-0": Stopping(NOW, NOW + seconds(2), NOW)}
    assert planned(wanted, container(), stopping=signalled) == Plan((), NOW + seconds(2))


def test_a_probe_may_have_its_own_grace() -> None:
    condemned = {"app-0": Condemned("unhealthy", seconds(7))}
    assert planned(pod(), container(), condemned=condemned).actions == (
        StopContainer("app-0", "app", NOW + seconds(7), "unhealthy"),
    )


def test_a_pod_that_is_active_too_long_is_stopped() -> None:
    wanted = pod(activeDeadlineSeconds=60)
    wanted = wanted.replace(status=wanted.status.replace(start_time="2026-01-01T12:00:00Z"))
    end = NOW + seconds(60)
    assert planned(wanted, container()) == Plan((), end)
    assert planned(wanted, container(), now=end) == Plan(
        (StopContainer("app-0", "app", end + seconds(30), "Stopping container app"),)
    )
    assert planned(wanted, container(phase="exited"), now=end) == Plan()


@pytest.mark.parametrize("phase", ["running", "exited"])
def test_an_ephemeral_container_is_started_once(phase: Any) -> None:
    wanted = pod("app", ephemeralContainers=[one("debug")])
    assert starts(planned(wanted, container())) == [("debug", 0)]
    assert planned(wanted, container(), container("debug", phase=phase)) == Plan()
    until = NOW + seconds(3)
    assert planned(wanted, container(), held={"debug": until}) == Plan((), until)


def test_a_dead_sandbox_is_not_replaced_for_a_pod_whose_init_container_failed_for_good() -> None:
    wanted = pod("app", initContainers=[one("first")], restartPolicy="Never")
    failed = container("first", phase="exited", exit_code=1)
    made = plan(wanted, Observed(sandboxes=(sandbox(phase="exited"),), containers=(failed,)), NOW)
    assert made == Plan((RemoveSandbox("box-0", "10.244.0.2"),))
    again = plan(INITS, Observed(sandboxes=(), containers=(failed,)), NOW)
    assert again == Plan((CreateSandbox(0),))
