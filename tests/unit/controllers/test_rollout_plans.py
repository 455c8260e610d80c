"""Whole plans of policy, rollout, progress and the update in place."""

from __future__ import annotations

from datetime import datetime

import pytest

from reconciler.controllers.replication import inplace, rollout
from reconciler.controllers.replication.actions import (
    CreatePods,
    DeletePod,
    UpdatePod,
)
from reconciler.controllers.replication.policy import (
    MAX_SURGE,
    MAX_UNAVAILABLE,
    MIN_READY,
    RolloutDefaults,
    RolloutPolicy,
    is_rolled,
    policy_of,
)
from reconciler.controllers.replication.progress import Progress, assess
from reconciler.controllers.replication.status import next_available
from reconciler.model.container import Container
from reconciler.model.inplace import SHAPE
from reconciler.model.pod import Pod
from reconciler.model.podstatus import (
    LIVENESS_UNPROVEN,
    ContainerState,
    ContainerStateRunning,
    ContainerStatus,
    PodCondition,
)
from reconciler.model.replication import ReplicationControllerStatus
from reconciler.model.time import format_time
from tests.unit.controllers.builders import make_pod, make_rc
from tests.unit.controllers.rolloutkit import NEW, NOW, OLD, ago, ready, unready


class TestPolicy:
    def test_defaults(self) -> None:
        assert policy_of(make_rc()) == RolloutPolicy(1, 0, 0, 600)
        assert not is_rolled(make_rc())
        assert is_rolled(make_rc(rolled=True))

    def test_percentages_round_as_a_deployment_does(self) -> None:
        notes = {MAX_SURGE: "25%", MAX_UNAVAILABLE: "25%", MIN_READY: "7"}
        assert policy_of(make_rc(replicas=10, annotations=notes)) == RolloutPolicy(3, 2, 7, 600)

    def test_the_settings_say_what_annotations_do_not(self) -> None:
        defaults = RolloutDefaults("50%", "2", 5, 60)
        assert policy_of(make_rc(replicas=3), defaults) == RolloutPolicy(2, 2, 5, 60)
        notes = {MAX_SURGE: "1", MAX_UNAVAILABLE: "0", MIN_READY: "0"}
        rc = make_rc(replicas=3, annotations=notes)
        assert policy_of(rc, defaults) == RolloutPolicy(1, 0, 0, 60)
        own = rc.replace(spec=rc.spec.replace(min_ready_seconds=9))
        assert policy_of(own, defaults).min_ready_seconds == 0
        bare = own.replace(metadata=own.metadata.replace(annotations={}))
        assert policy_of(bare, defaults).min_ready_seconds == 9

    def test_both_zero_leaves_one_unavailable(self) -> None:
        notes = {MAX_SURGE: "0", MAX_UNAVAILABLE: "0"}
        assert policy_of(make_rc(annotations=notes)).unavailable == 1

    @pytest.mark.parametrize("text", ["many", "-1", "1.5", "%", "", "٣"])
    def test_what_cannot_be_read_is_said_and_ignored(self, text: str) -> None:
        policy = policy_of(make_rc(annotations={MAX_SURGE: text}))
        assert policy.surge == 1
        assert policy.ignored[0] == (
            f'annotation {MAX_SURGE}: "{text}" is not a number of pods or a percentage, '
            "such as 1 or 25%; the default holds"
        )


class TestStopFirst:
    POLICY = policy_of(make_rc(), stop_first=True)

    def plan(self, *pods: Pod) -> tuple[object, ...]:
        return rollout.plan(1, rollout.generations(pods, NEW), self.POLICY, NOW, stopped=False)

    def test_the_old_one_goes_before_a_new_one_is_made(self) -> None:
        old = ready("a", OLD)
        assert self.plan(old) == (DeletePod(old, "old template"),)

    def test_nothing_starts_beside_one_that_is_still_leaving(self) -> None:
        assert self.plan(make_pod("a", deleting=NOW)) == ()
        assert self.plan(make_pod("a", deleting=NOW, phase="Failed")) == (CreatePods(1),)
        assert self.plan() == (CreatePods(1),)

    def test_annotations_cannot_make_it_surge(self) -> None:
        notes = {MAX_SURGE: "3", MAX_UNAVAILABLE: "0"}
        policy = policy_of(make_rc(replicas=2, annotations=notes), stop_first=True)
        assert (policy.surge, policy.unavailable) == (0, 1)


class TestRollout:
    POLICY = RolloutPolicy()

    def plan(
        self, replicas: int, *pods: Pod, policy: RolloutPolicy = POLICY, stopped: bool = False
    ) -> tuple[object, ...]:
        split = rollout.generations(pods, NEW)
        return rollout.plan(replicas, split, policy, NOW, stopped=stopped)

    def test_a_first_roll_out_makes_all_at_once(self) -> None:
        assert self.plan(3) == (CreatePods(3),)

    def test_it_surges_by_one_and_removes_nothing_yet(self) -> None:
        assert self.plan(3, *[ready(n, OLD) for n in "abc"]) == (CreatePods(1),)

    def test_it_waits_for_the_new_pod(self) -> None:
        assert self.plan(3, *[ready(n, OLD) for n in "abc"], unready("d", NEW)) == ()

    def test_a_ready_new_pod_lets_one_old_go(self) -> None:
        olds = [ready(n, OLD) for n in "abc"]
        assert self.plan(3, *olds, ready("d", NEW)) == (DeletePod(olds[0], "old template"),)

    def test_ready_is_not_enough_before_min_ready_seconds(self) -> None:
        olds = [ready(n, OLD) for n in "abc"]
        policy = RolloutPolicy(min_ready_seconds=30)
        assert self.plan(3, *olds, ready("d", NEW, seconds=20), policy=policy) == ()
        assert self.plan(3, *olds, ready("d", NEW, seconds=30), policy=policy) != ()

    def test_a_broken_old_pod_goes_first(self) -> None:
        olds = [ready("a", OLD), unready("b", OLD), ready("c", OLD)]
        assert self.plan(2, *olds) == (DeletePod(olds[1], "broken pod of an old template"),)

    def test_old_pods_that_are_all_unready_are_not_given_up_for_an_unproven_template(self) -> None:
        assert self.plan(3, *[unready(n, OLD) for n in "abc"]) == (CreatePods(1),)

    def test_a_new_template_supersedes_a_broken_rollout(self) -> None:
        broken = unready("d", "mid")
        olds = [ready(n, OLD) for n in "abc"]
        assert self.plan(3, *olds, broken) == (DeletePod(broken, "broken pod of an old template"),)

    def test_unavailable_lets_old_pods_go_before_new_ones_are_ready(self) -> None:
        olds = [ready(n, OLD) for n in "abc"]
        policy = RolloutPolicy(surge=0, unavailable=2)
        assert self.plan(3, *olds, policy=policy) == (
            DeletePod(olds[0], "old template"),
            DeletePod(olds[1], "old template"),
        )

    def test_a_stopped_rollout_makes_no_more(self) -> None:
        olds = [ready(n, OLD) for n in "abc"]
        assert self.plan(3, *olds, stopped=True) == ()
        assert self.plan(3, *olds[:2], unready("d", NEW), stopped=True) == ()
        assert self.plan(3, *olds[:1], unready("d", NEW), stopped=True) == (CreatePods(1),)

    def test_zero_replicas_remove_all(self) -> None:
        pods = [ready("a", OLD), unready("b", OLD), ready("c", NEW)]
        assert {a.pod.metadata.name for a in self.plan(0, *pods)} == {"a", "b", "c"}

    def test_a_pod_of_unknown_template_is_old(self) -> None:
        assert rollout.generations([ready("a")], NEW).old


class TestProgress:
    POLICY = RolloutPolicy(progress_deadline_seconds=60)

    def assess(
        self, pods: list[Pod], status: ReplicationControllerStatus, **known: object
    ) -> Progress:
        rc = make_rc(rolled=True, generation=2, status=status)
        since = known.get("watched_since", ago(10_000))
        assert isinstance(since, datetime)
        return assess(rc, rollout.generations(pods, NEW), self.POLICY, NOW, since)

    def status(self, reason: str, seconds: float, observed: int = 2) -> ReplicationControllerStatus:
        base = self.assess([], ReplicationControllerStatus()).condition
        state = base.replace(reason=reason, last_transition_time=format_time(ago(seconds)))
        return ReplicationControllerStatus(observed_generation=observed, conditions=(state,))

    def test_a_new_controller_is_rolling_out(self) -> None:
        progress = self.assess([], ReplicationControllerStatus())
        assert progress.condition.reason == "RollingOut"
        assert progress.condition.status == "True"
        assert progress.check_in == 60
        assert progress.condition.message == "0 of 3 pods of the present template available"

    def test_complete_when_all_are_new_and_available(self) -> None:
        progress = self.assess([ready(n, NEW) for n in "abc"], self.status("RollingOut", 30))
        assert (progress.condition.reason, progress.check_in) == ("RolloutComplete", None)
        assert progress.condition.last_transition_time == format_time(NOW)

    def test_not_complete_before_the_liveness_probes_have_succeeded(self) -> None:
        waits = PodCondition(type=LIVENESS_UNPROVEN, status="True")
        pods = [ready(name, NEW) for name in "abc"]
        conditions = (*pods[0].status.conditions, waits)
        pods[0] = pods[0].replace(status=pods[0].status.replace(conditions=conditions))
        progress = self.assess(pods, self.status("RollingOut", 30))
        assert progress.condition.reason == "RollingOut"
        assert "1 of them not found alive by a liveness probe" in progress.condition.message
        complete = self.status("RolloutComplete", 1000)
        assert self.assess(pods, complete).condition is complete.conditions[0]

        patient = self.assess(pods, self.status("RollingOut", 1000))
        assert (patient.condition.reason, patient.check_in) == ("RollingOut", None)

    def test_complete_stays_complete_when_a_pod_breaks_later(self) -> None:
        before = self.status("RolloutComplete", 1000)
        progress = self.assess([ready("a", NEW), unready("b", NEW)], before)
        assert progress.condition is before.conditions[0]

    def test_an_old_pod_reopens_it(self) -> None:
        progress = self.assess([ready("a", OLD)], self.status("RolloutComplete", 1000))
        assert progress.condition.reason == "RollingOut"

    def test_the_deadline_counts_from_the_last_progress(self) -> None:
        pods = [ready("a", NEW, seconds=50), unready("b", NEW), ready("c", OLD)]
        progress = self.assess(pods, self.status("RollingOut", 100))
        assert (progress.condition.reason, progress.check_in) == ("RollingOut", 10)

    def test_exceeded(self) -> None:
        pods = [ready("a", NEW, seconds=60), unready("b", NEW), ready("c", OLD)]
        progress = self.assess(pods, self.status("RollingOut", 100))
        assert progress.stopped
        assert progress.condition.status == "False"
        assert progress.condition.message == (
            "no progress for 60 s: 1 of 3 pods of the present template available, "
            "1 of an old template left"
        )

    def test_time_in_which_nobody_acted_does_not_count(self) -> None:
        progress = self.assess([], self.status("RollingOut", 5000), watched_since=ago(20))
        assert (progress.condition.reason, progress.check_in) == ("RollingOut", 40)

    def test_exceeded_stays_until_there_is_progress(self) -> None:
        before = self.status("ProgressDeadlineExceeded", 100)
        assert self.assess([unready("a", NEW)], before).condition is before.conditions[0]
        again = self.assess([ready("a", NEW, seconds=5)], before)
        assert (again.condition.reason, again.stopped) == ("RollingOut", False)

    def test_a_new_spec_starts_afresh(self) -> None:
        before = self.status("ProgressDeadlineExceeded", 100, observed=1)
        progress = self.assess([ready("a", OLD)], before)
        assert (progress.condition.reason, progress.check_in) == ("RollingOut", 60)


def shaped(name: str, shape: str = "s", digest: str = OLD, *, serves: bool = True) -> Pod:
    since = ago(100) if serves else None
    return make_pod(name, digest=digest, ready=since, annotations={SHAPE: shape})


def runs(pod: Pod, image: str, *, asks: str) -> Pod:
    state = ContainerState(running=ContainerStateRunning())
    statuses = (ContainerStatus(name="c", image=image, ready=True, state=state),)
    return pod.replace(
        spec=pod.spec.replace(containers=(Container(name="c", image=asks),)),
        status=pod.status.replace(container_statuses=statuses),
    )


class TestInPlace:
    def plan(
        self, replicas: int, *pods: Pod, unavailable: int = 0, stopped: bool = False
    ) -> object:
        policy = RolloutPolicy(unavailable=unavailable)
        found = rollout.generations(pods, NEW)
        return inplace.plan(replicas, found, policy, NOW, stopped=stopped)

    def test_it_applies_when_every_old_pod_has_the_shape(self) -> None:
        fits, other, new = shaped("a"), shaped("b", "t"), shaped("c", digest=NEW)
        assert inplace.applies(rollout.generations([fits, new], NEW), "s")
        assert not inplace.applies(rollout.generations([fits, other], NEW), "s")
        assert not inplace.applies(rollout.generations([new], NEW), "s")

    def test_one_pod_at_a_time_and_those_that_serve_nobody_at_once(self) -> None:
        serving = [shaped("a"), shaped("b")]
        broken = shaped("c", serves=False)
        assert self.plan(3, *serving, broken) == (UpdatePod(broken),)
        assert self.plan(2, *serving) == (UpdatePod(serving[0]),)
        assert self.plan(2, *serving, unavailable=2) == tuple(map(UpdatePod, serving))
        assert self.plan(1, serving[0]) == (UpdatePod(serving[0]),)

    def test_a_pod_that_runs_its_former_image_yet_is_not_available_though_it_says_ready(
        self,
    ) -> None:
        updated = runs(shaped("a", digest=NEW), "web:1", asks="web:2")
        restarted = runs(shaped("a", digest=NEW), "web:2", asks="web:2")
        old = shaped("b")
        assert self.plan(2, updated, old) == ()
        assert self.plan(2, restarted, old) == (UpdatePod(old),)
        rc, policy = make_rc(replicas=1), RolloutPolicy()

        def reason(pod: Pod) -> str:
            found = rollout.generations([pod], NEW)
            return assess(rc, found, policy, NOW, ago(0)).condition.reason

        assert (reason(updated), reason(restarted)) == ("RollingOut", "RolloutComplete")
        assert next_available([updated], 0, NOW) is None

    def test_an_updated_pod_has_to_serve_before_the_next_is_updated(self) -> None:
        updated = shaped("a", digest=NEW, serves=False)
        assert self.plan(2, updated, shaped("b")) == ()
        assert self.plan(2, shaped("a", digest=NEW), shaped("b")) == (UpdatePod(shaped("b")),)

    def test_the_count_comes_first_and_a_stopped_rollout_updates_nothing(self) -> None:
        old = shaped("a")
        assert self.plan(2, old) == (CreatePods(1),)
        assert self.plan(0, old) == (DeletePod(old, "surplus"),)
        assert self.plan(1, old, stopped=True) == ()
