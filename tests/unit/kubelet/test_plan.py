"""Whole plans for the states that matter, then what must hold in every state."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kubelet.actions import (
    AttachSandbox,
    CreateSandbox,
    DeleteObject,
    KillContainer,
    Plan,
    RemoveContainer,
    RemoveFiles,
    RemoveSandbox,
    StartContainer,
    StopContainer,
)
from reconciler.kubelet.observed import Condemned, Observed, Stopping
from reconciler.kubelet.plan import plan
from reconciler.model.pod import Pod
from reconciler.model.time import LONGEST_SECONDS
from tests.unit.kubelet.builders import NOW, container, pod, sandbox, seconds

LIVE = (sandbox(),)
STOP = "Stopping container app"


def planned(wanted: Pod | None, now: datetime = NOW, **seen: Any) -> Plan:
    return plan(wanted, Observed(**seen), now)


def test_a_new_pod_gets_a_sandbox() -> None:
    assert planned(pod()) == Plan((CreateSandbox(0),))


def test_containers_start_together_in_the_sandbox() -> None:
    assert planned(pod("a", "b"), sandboxes=LIVE) == Plan(
        (StartContainer("a", 0, 0, "box-0"), StartContainer("b", 0, 0, "box-0"))
    )


def test_a_pod_as_it_should_be_wants_nothing() -> None:
    assert planned(pod(), sandboxes=LIVE, containers=(container(),)) == Plan()


def test_a_sandbox_without_its_link_gets_it_first() -> None:
    assert planned(pod(), sandboxes=LIVE, linked=False) == Plan((AttachSandbox("box-0"),))


def test_a_failed_start_waits() -> None:
    until = NOW + seconds(5)
    assert planned(pod(), held={"POD": until}) == Plan((), until)
    assert planned(pod(), sandboxes=LIVE, held={"app": until}) == Plan((), until)
    assert planned(pod(), sandboxes=LIVE, linked=False, held={"POD": until}) == Plan((), until)
    late = planned(pod(), sandboxes=LIVE, held={"app": until}, now=until)
    assert late == Plan((StartContainer("app", 0, 0, "box-0"),))


def test_the_first_restart_is_at_once_the_next_ones_back_off() -> None:
    first = container(phase="exited", exit_code=1)
    assert planned(pod(), sandboxes=LIVE, containers=(first,)) == Plan(
        (StartContainer("app", 1, 10, "box-0"),)
    )
    second = container(attempt=1, phase="exited", exit_code=1, backoff=10)
    assert planned(pod(), sandboxes=LIVE, containers=(second,)) == Plan((), NOW + seconds(10))
    assert planned(pod(), sandboxes=LIVE, containers=(second,), now=NOW + seconds(10)) == Plan(
        (StartContainer("app", 2, 20, "box-0"),)
    )


@pytest.mark.parametrize(("backoff", "following"), [(10, 20), (160, 300), (300, 300)])
def test_the_back_off_doubles_to_five_minutes(backoff: float, following: float) -> None:
    dead = container(attempt=4, phase="exited", exit_code=1, backoff=backoff)
    assert planned(pod(), sandboxes=LIVE, containers=(dead,), now=NOW + seconds(backoff)) == Plan(
        (StartContainer("app", 5, following, "box-0"),)
    )


def test_ten_minutes_of_life_clear_the_record() -> None:
    dead = container(attempt=4, phase="exited", exit_code=1, backoff=300, ran=601)
    assert planned(pod(), sandboxes=LIVE, containers=(dead,)) == Plan(
        (StartContainer("app", 5, 10, "box-0"),)
    )


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_the_restart_policy_decides(policy: str, code: int, again: bool) -> None:
    dead = container(phase="exited", exit_code=code)
    wanted = pod(restartPolicy=policy)
    starts = planned(wanted, sandboxes=LIVE, containers=(dead,)).actions
    assert bool(starts) == again


def test_one_dead_container_is_kept() -> None:
    old, newer = container(phase="exited"), container(attempt=1, phase="exited", backoff=10)
    running = container(attempt=2)
    assert planned(pod(), sandboxes=LIVE, containers=(old, newer, running)) == Plan(
        (RemoveContainer("app-0"),)
    )


def test_a_leftover_that_never_started_goes_before_another_is_made() -> None:
    left = container(phase="created", started=False)
    assert planned(pod(), sandboxes=LIVE, containers=(left,)) == Plan((RemoveContainer("app-0"),))


def test_a_dead_sandbox_is_replaced_while_its_containers_end() -> None:
    assert planned(pod(), sandboxes=(sandbox(phase="exited"),), containers=(container(),)) == Plan(
        (
            CreateSandbox(1),
            StopContainer(
                "app-0",
                "app",
                NOW + seconds(0.1),
                "Stopping container app: its sandbox is gone",
            ),
        )
    )


def test_a_dead_sandbox_keeps_its_link_until_its_containers_have_ended() -> None:
    boxes = (sandbox(phase="exited"), sandbox(1, address="10.244.0.3"))
    stopping = {"app-0": Stopping(NOW, NOW + seconds(0.1), NOW)}
    ending = planned(pod(), sandboxes=boxes, containers=(container(),), stopping=stopping)
    assert ending == Plan((), NOW + seconds(0.1))
    ended = planned(pod(), sandboxes=boxes, containers=(container(phase="exited"),))
    assert RemoveSandbox("box-0", "10.244.0.2") in ended.actions


def test_a_container_that_ended_with_its_sandbox_does_not_back_off() -> None:
    dead = container(attempt=1, phase="exited", exit_code=137, backoff=10)
    new = sandbox(1, address="10.244.0.3")
    assert planned(pod(), sandboxes=(new,), containers=(dead,)) == Plan(
        (StartContainer("app", 2, 10, "box-1"),)
    )


def test_a_changed_image_restarts_the_container_without_back_off() -> None:
    running = container(image="app:0", backoff=300)
    message = "Container app definition changed, will be restarted"
    assert planned(pod(), sandboxes=LIVE, containers=(running,)) == Plan(
        (StopContainer("app-0", "app", NOW + seconds(30), message),)
    )
    dead = container(image="app:0", backoff=300, phase="exited")
    assert planned(pod(), sandboxes=LIVE, containers=(dead,)) == Plan(
        (StartContainer("app", 1, 0, "box-0"),)
    )


def test_an_unhealthy_container_is_stopped_then_killed() -> None:
    words = {"app-0": Condemned("Container app failed liveness probe, will be restarted")}
    seen = {"sandboxes": LIVE, "containers": (container(),), "condemned": words}
    assert planned(pod(), **seen) == Plan(
        (StopContainer("app-0", "app", NOW + seconds(30), words["app-0"].message),)
    )
    stopping = {"app-0": Stopping(NOW, NOW + seconds(30), NOW)}
    assert planned(pod(), **seen, stopping=stopping) == Plan((), NOW + seconds(30))
    assert planned(pod(), **seen, stopping=stopping, now=NOW + seconds(30)) == Plan(
        (KillContainer("app-0", "app"),)
    )
    killed = {"app-0": Stopping(NOW, NOW + seconds(35), NOW, killed=True)}
    assert planned(pod(), **seen, stopping=killed, now=NOW + seconds(31)) == Plan(
        (), NOW + seconds(35)
    )


def test_a_pod_that_ends_waits_for_the_proxies_then_stops() -> None:
    wanted = pod(deleted=NOW + seconds(30))
    seen = {"sandboxes": LIVE, "containers": (container(),)}
    assert planned(wanted, **seen, let_go=NOW + seconds(1)) == Plan((), NOW + seconds(1))
    assert planned(wanted, **seen) == Plan(
        (StopContainer("app-0", "app", NOW + seconds(30), STOP),)
    )


def test_a_grace_is_not_granted_twice() -> None:
    wanted = pod(deleted=NOW - seconds(10))
    assert planned(wanted, sandboxes=LIVE, containers=(container(),)) == Plan(
        (StopContainer("app-0", "app", NOW + seconds(2), STOP),)
    )


def test_a_shorter_grace_holds_from_the_first_signal() -> None:
    stopping = {"app-0": Stopping(NOW - seconds(3), NOW + seconds(27), NOW - seconds(3))}
    wanted = pod(deleted=NOW, grace=5)
    assert planned(wanted, sandboxes=LIVE, containers=(container(),), stopping=stopping) == Plan(
        (), NOW + seconds(2)
    )


def test_a_grace_beyond_all_times_is_one_of_centuries() -> None:
    end = NOW + seconds(LONGEST_SECONDS)
    wanted = pod(deleted=end, grace=(1 << 63) - 1)
    assert planned(wanted, sandboxes=LIVE, containers=(container(),)) == Plan(
        (StopContainer("app-0", "app", end, STOP),)
    )


def test_the_end_goes_by_steps() -> None:
    wanted = pod(deleted=NOW)
    dead = container(phase="exited")
    assert planned(wanted, sandboxes=LIVE, containers=(dead,)) == Plan(
        (RemoveContainer("app-0"), RemoveSandbox("box-0", "10.244.0.2"))
    )
    assert planned(wanted) == Plan((RemoveFiles(),))
    assert planned(wanted, files=False) == Plan((DeleteObject(),))


def test_a_pod_without_an_object_is_removed_with_a_short_grace() -> None:
    assert planned(None, sandboxes=LIVE, containers=(container(),)) == Plan(
        (StopContainer("app-0", "app", NOW + seconds(1), STOP),)
    )
    assert planned(None, sandboxes=LIVE) == Plan((RemoveSandbox("box-0", "10.244.0.2"),))
    assert planned(None) == Plan((RemoveFiles(),))
    assert planned(None, files=False) == Plan()


def test_a_finished_pod_keeps_its_dead_containers_only() -> None:
    dead = container(phase="exited")
    assert planned(
        pod(phase="Succeeded", restartPolicy="Never"), sandboxes=LIVE, containers=(dead,)
    ) == Plan((RemoveSandbox("box-0", "10.244.0.2"),))
    assert planned(pod(phase="Succeeded"), containers=(dead,)) == Plan()


def test_a_finished_container_needs_no_sandbox() -> None:
    dead = container(phase="exited")
    wanted = pod(restartPolicy="Never")
    assert planned(wanted, sandboxes=(sandbox(phase="exited"),), containers=(dead,)) == Plan(
        (RemoveSandbox("box-0", "10.244.0.2"),)
    )


def test_counting_goes_on_where_a_container_left_only_its_status() -> None:
    wanted = pod()
    status = {"name": "app", "restartCount": 3, "containerID": "docker://x", "image": "app:1",
              "imageID": "", "ready": True}  # fmt: skip
    manifest = {**wanted.to_dict(), "status": {"containerStatuses": [status]}}
    known = Pod.model_validate_json(json.dumps(manifest))
    assert planned(known, sandboxes=LIVE) == Plan((StartContainer("app", 4, 0, "box-0"),))


PHASES = st.sampled_from(["created", "running", "exited"])
CONTAINERS = st.lists(
    st.builds(
        container,
        name=st.sampled_from(["app", "side", "stranger"]),
        attempt=st.integers(0, 4),
        phase=PHASES,
        box=st.integers(0, 2),
        backoff=st.sampled_from([0, 10, 300]),
        exit_code=st.sampled_from([0, 1]),
    ),
    max_size=5,
    unique_by=lambda c: c.id,
).map(lambda found: tuple(sorted(found, key=lambda c: (c.attempt, c.id))))
SANDBOXES = st.lists(
    st.builds(sandbox, st.integers(0, 2), phase=PHASES), max_size=3, unique_by=lambda b: b.id
).map(lambda found: tuple(sorted(found, key=lambda b: b.attempt)))
PODS = st.one_of(
    st.none(),
    st.just(pod("app", "side", deleted=NOW)),
    st.builds(
        lambda phase, policy: pod("app", "side", phase=phase, restartPolicy=policy),
        st.sampled_from(["", "Running", "Succeeded"]),
        st.sampled_from(["Always", "OnFailure", "Never"]),
    ),
)


@given(PODS, SANDBOXES, CONTAINERS, st.booleans())
def test_in_every_state_a_plan_is_safe(
    wanted: Pod | None, boxes: Any, containers: Any, linked: bool
) -> None:
    observed = Observed(sandboxes=boxes, containers=containers, linked=linked)
    made = plan(wanted, observed, NOW)
    assert made == plan(wanted, observed, NOW)
    actions = made.actions
    assert len(set(actions)) == len(actions)
    running = {c.name for c in containers if c.running}
    starts = [a for a in actions if isinstance(a, StartContainer)]
    assert not {a.name for a in starts} & running
    assert len({a.name for a in starts}) == len(starts)
    names = {(c.name, c.attempt) for c in containers}
    assert not {(a.name, a.attempt) for a in starts} & names
    creates = [a for a in actions if isinstance(a, CreateSandbox)]
    assert len(creates) <= (observed.live is None)
    assert not {a.attempt for a in creates} & {b.attempt for b in boxes}
    removed = {a.id for a in actions if isinstance(a, RemoveContainer)}
    assert not removed & {c.id for c in containers if c.running}
    if any(isinstance(a, (DeleteObject, RemoveFiles)) for a in actions):
        assert not containers
        assert not boxes
    ends = wanted is None or wanted.metadata.deletion_timestamp or wanted.status.phase
    if ends and ends != "Running":
        assert not starts
        assert not creates
    live = observed.live
    if live is not None and wanted is not None and not ends:
        assert RemoveSandbox(live.id, live.address) not in actions
