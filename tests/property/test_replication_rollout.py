"""Safety and liveness of the rollout and count plans in a simulated world.

The world does with pods what a kubelet may do: make them ready, break them, lose them. After
every plan the promises of `rollout.py` must hold, whatever happened before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.controllers.podstate import is_active, is_available
from reconciler.controllers.replication import count, inplace, rollout
from reconciler.controllers.replication.actions import (
    CreatePods,
    DeletePod,
    PodAction,
    UpdatePod,
)
from reconciler.controllers.replication.policy import RolloutPolicy
from reconciler.model.pod import Pod
from reconciler.model.time import format_time
from tests.unit.controllers.builders import make_pod

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """Pods by name, and the time; every step takes a second."""

    pods: dict[str, Pod] = field(default_factory=dict)
    now: datetime = START
    made: int = 0

    def create(self, digest: str) -> None:
        self.made += 1
        name = f"p{self.made:03}"
        self.pods[name] = make_pod(name, digest=digest, created=self.now)

    def make_ready(self, name: str) -> None:
        old = self.pods[name]
        digest = old.metadata.annotations["reconciler.dev/template-hash"]
        created = old.metadata.creation_timestamp
        self.pods[name] = make_pod(name, digest=digest, ready=self.now).replace(
            metadata=old.metadata.replace(creation_timestamp=created)
        )

    def make_unready(self, name: str) -> None:
        old = self.pods[name]
        self.pods[name] = make_pod(name).replace(metadata=old.metadata)

    def mark_deleted(self, name: str) -> None:
        old = self.pods[name]
        stamp = format_time(self.now)
        self.pods[name] = old.replace(metadata=old.metadata.replace(deletion_timestamp=stamp))

    def perform(self, actions: tuple[PodAction, ...], digest: str) -> None:
        for action in actions:
            match action:
                case CreatePods(number):
                    for _ in range(number):
                        self.create(digest)
                case DeletePod(pod):
                    self.mark_deleted(pod.metadata.name)

    def active(self) -> list[Pod]:
        return [pod for pod in self.pods.values() if is_active(pod)]

    def available(self, policy: RolloutPolicy) -> int:
        return sum(is_available(p, policy.min_ready_seconds, self.now) for p in self.active())


POLICIES = st.builds(
    RolloutPolicy,
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    min_ready_seconds=st.integers(0, 3),
).map(lambda p: p if p.surge or p.unavailable else RolloutPolicy(1, 0))

EVENTS = st.lists(
    st.tuples(st.sampled_from(["ready", "unready", "lose", "gone"]), st.integers(0, 20)),
    max_size=4,
)
STEPS = st.lists(st.tuples(EVENTS, st.booleans()), max_size=12)


def happen(world: World, events: list[tuple[str, int]]) -> None:
    for what, index in events:
        names = sorted(world.pods)
        if not names:
            return
        name = names[index % len(names)]
        match what:
            case "ready":
                world.make_ready(name)
            case "unready":
                world.make_unready(name)
            case "lose":
                world.mark_deleted(name)
            case _:
                del world.pods[name]


def check_plan(
    world: World, replicas: int, policy: RolloutPolicy, actions: tuple[PodAction, ...]
) -> None:
    before, total = world.available(policy), len(world.active())
    created = sum(action.count for action in actions if isinstance(action, CreatePods))
    deleted = [action.pod for action in actions if isinstance(action, DeletePod)]
    assert len({pod.metadata.name for pod in deleted}) == len(deleted)
    assert total + created <= max(replicas + policy.surge, total), "too many pods"
    lost = sum(is_available(p, policy.min_ready_seconds, world.now) for p in deleted)
    floor = min(replicas - policy.unavailable, before)
    assert before - lost >= floor, "a deletion left too few available"
    assert all(is_active(pod) for pod in deleted)


def step(world: World, replicas: int, policy: RolloutPolicy, digest: str, *, stopped: bool) -> bool:
    split = rollout.generations(tuple(world.pods.values()), digest)
    actions = rollout.plan(replicas, split, policy, world.now, stopped=stopped)
    check_plan(world, replicas, policy, actions)
    if stopped and split.old:
        made = sum(action.count for action in actions if isinstance(action, CreatePods))
        assert len(world.active()) + made <= max(replicas, len(world.active()))
    world.perform(actions, digest)
    return bool(actions)


@settings(max_examples=300, deadline=None)
@given(
    replicas=st.integers(0, 6),
    policy=POLICIES,
    revisions=st.lists(st.tuples(st.integers(0, 6), STEPS), min_size=1, max_size=4),
)
def test_promises_hold_whatever_happens(
    replicas: int,
    policy: RolloutPolicy,
    revisions: list[tuple[int, list[tuple[list[tuple[str, int]], bool]]]],
) -> None:
    world = World()
    for number, (wanted, steps) in enumerate([(replicas, []), *revisions]):
        digest = f"t{number}"
        for events, stopped in steps:
            world.now += timedelta(seconds=1)
            happen(world, events)
            step(world, wanted, policy, digest, stopped=stopped)


def _is_new(pod: Pod, digest: str) -> bool:
    return pod.metadata.annotations.get("reconciler.dev/template-hash") == digest


def settle(world: World, replicas: int, policy: RolloutPolicy, digest: str) -> int:
    """Run until nothing is to do; every new pod becomes ready a second after it was made."""
    for count_of_steps in range(200):
        world.now += timedelta(seconds=1)
        acted = step(world, replicas, policy, digest, stopped=False)
        for name, pod in list(world.pods.items()):
            if not is_active(pod):
                del world.pods[name]
            elif _is_new(pod, digest) and not is_available(pod, 0, world.now):
                world.make_ready(name)
                acted = True
        waiting = len(world.active()) != world.available(policy)
        if not acted and not waiting:
            return count_of_steps
    raise AssertionError("the rollout does not end")


@settings(max_examples=200, deadline=None)
@given(
    replicas=st.integers(0, 6),
    wanted=st.integers(0, 6),
    policy=POLICIES,
    chaos=st.lists(EVENTS, max_size=5),
)
def test_it_ends_in_the_wanted_state(
    replicas: int, wanted: int, policy: RolloutPolicy, chaos: list[list[tuple[str, int]]]
) -> None:
    world = World()
    settle(world, replicas, policy, "t0")
    for events in chaos:
        world.now += timedelta(seconds=1)
        happen(world, events)
        step(world, wanted, policy, "t1", stopped=False)
    settle(world, wanted, policy, "t2")

    split = rollout.generations(tuple(world.pods.values()), "t2")
    assert not split.old
    assert len(split.new) == wanted
    assert rollout.plan(wanted, split, policy, world.now, stopped=False) == ()


@given(replicas=st.integers(0, 6), surge=st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_a_template_that_never_works_costs_nothing(replicas: int, surge: int) -> None:
    policy = RolloutPolicy(surge, 0)
    world = World()
    settle(world, replicas, policy, "t0")
    serving = {pod.metadata.name for pod in world.active()}
    for _ in range(20):
        world.now += timedelta(seconds=1)
        step(world, replicas, policy, "broken", stopped=False)
    assert serving <= {pod.metadata.name for pod in world.active()}
    assert len(world.active()) <= replicas + surge


@given(replicas=st.integers(0, 12), number=st.integers(0, 12), ready=st.integers(0, 12))
def test_count_reaches_the_number_at_once_and_never_prefers_a_ready_pod_to_delete(
    replicas: int, number: int, ready: int
) -> None:
    world = World()
    for _ in range(number):
        world.create("")
    for name in sorted(world.pods)[:ready]:
        world.pods[name] = make_pod(name, ready=START)
    actions = count.plan(replicas, tuple(world.pods.values()), START)
    serving = world.available(RolloutPolicy())
    world.perform(actions, "")
    assert len(world.active()) == replicas
    assert world.available(RolloutPolicy()) == min(serving, replicas)
    assert count.plan(replicas, tuple(world.pods.values()), START) == ()


def update_in_place(world: World, replicas: int, policy: RolloutPolicy) -> tuple[PodAction, ...]:
    split = rollout.generations(tuple(world.pods.values()), "new")
    actions = inplace.plan(replicas, split, policy, world.now, stopped=False)
    before = world.available(policy)
    updated = [action.pod for action in actions if isinstance(action, UpdatePod)]
    lost = sum(is_available(p, policy.min_ready_seconds, world.now) for p in updated)
    floor = min(replicas - max(policy.unavailable, 1), before)
    assert before - lost >= floor, "an update left too few available"
    if len(world.active()) == replicas:
        assert len(updated) == len(actions), "a pod was made or deleted"
    for pod in updated:
        notes = {**pod.metadata.annotations, "reconciler.dev/template-hash": "new"}
        world.pods[pod.metadata.name] = make_pod(pod.metadata.name).replace(
            metadata=pod.metadata.replace(annotations=notes)
        )
    world.perform(actions, "new")
    return actions


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 6), POLICIES, STEPS)
def test_updates_in_place_never_leave_too_few_and_end_with_every_pod_new(replicas, policy, steps):
    world = World()
    world.perform((CreatePods(replicas),), "old")
    for name in sorted(world.pods):
        world.make_ready(name)
    for events, _ in steps:
        happen(world, events)
        update_in_place(world, replicas, policy)
        world.now += timedelta(seconds=1)
    for _ in range(60):
        world.pods = {name: pod for name, pod in world.pods.items() if is_active(pod)}
        for name in sorted(world.pods):
            if not is_available(world.pods[name], 0, world.now):
                world.make_ready(name)
        world.now += timedelta(seconds=5)
        if not update_in_place(world, replicas, policy):
            break
    digests = [p.metadata.annotations["reconciler.dev/template-hash"] for p in world.active()]
    assert digests == ["new"] * replicas
