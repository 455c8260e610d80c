"""Whole plans of claim, ranking, count, status and template."""

from __future__ import annotations

from reconciler.controllers.replication import count
from reconciler.controllers.replication.actions import (
    AdoptPod,
    CreatePods,
    DeletePod,
    ReleasePod,
)
from reconciler.controllers.replication.claim import claim
from reconciler.controllers.replication.ranking import DELETION_COST, by_deletion_order
from reconciler.controllers.replication.status import next_available, status_of
from reconciler.controllers.replication.template import (
    TEMPLATE_HASH,
    pod_from_template,
    template_hash,
)
from reconciler.model.inplace import SHAPE
from reconciler.model.pod import Pod
from reconciler.model.time import format_time
from tests.unit.controllers.builders import make_pod, make_rc
from tests.unit.controllers.rolloutkit import NOW, ago, ready, unready


class TestClaim:
    def test_owned_orphans_and_strangers(self) -> None:
        rc, other = make_rc(), make_rc("other")
        mine = make_pod("mine", rc=rc)
        orphan = make_pod("orphan", labels={"app": "web"})
        lost = make_pod("lost", rc=rc, labels={"app": "changed"})
        theirs = make_pod("theirs", rc=other, labels={"app": "web"})
        stranger = make_pod("stranger", labels={"app": "db"})

        result = claim(rc, [theirs, stranger, lost, orphan, mine])

        assert result.owned == (mine,)
        assert result.actions == (ReleasePod(lost), AdoptPod(orphan))

    def test_a_pod_that_ends_is_not_adopted(self) -> None:
        pods = [make_pod("a", deleting=NOW), make_pod("b", phase="Failed")]
        assert claim(make_rc(), pods).actions == ()

    def test_a_controller_being_deleted_claims_nothing_new(self) -> None:
        rc = make_rc()
        rc = rc.replace(metadata=rc.metadata.replace(deletion_timestamp=format_time(NOW)))
        mine, orphan = make_pod("mine", rc=rc), make_pod("orphan")
        lost = make_pod("lost", rc=rc, labels={"x": "y"})
        result = claim(rc, [mine, orphan, lost])
        assert (result.owned, result.actions) == ((mine,), ())

    def test_an_empty_selector_takes_nothing(self) -> None:
        rc = make_rc()
        rc = rc.replace(spec=rc.spec.replace(selector={}))
        assert claim(rc, [make_pod("a", labels={})]).actions == ()


class TestRanking:
    def names(self, *pods: Pod) -> list[str]:
        return [pod.metadata.name for pod in by_deletion_order(pods, pods, NOW)]

    def test_each_rule_in_turn(self) -> None:
        unassigned = make_pod("unassigned", node="", phase="Pending")
        pending = make_pod("pending", phase="Pending")
        unknown = make_pod("unknown", phase="Unknown")
        not_ready = make_pod("not-ready")
        fine = make_pod("fine", ready=ago(100))
        assert self.names(fine, unknown, not_ready, pending, unassigned) == [
            "unassigned", "pending", "unknown", "not-ready", "fine",
        ]  # fmt: skip

    def test_lower_deletion_cost_goes_first(self) -> None:
        dear = make_pod("dear", ready=ago(100), annotations={DELETION_COST: "10"})
        cheap = make_pod("cheap", ready=ago(100), annotations={DELETION_COST: "-10"})
        wrong = make_pod("wrong", ready=ago(100), annotations={DELETION_COST: "+99"})
        assert self.names(dear, wrong, cheap) == ["cheap", "wrong", "dear"]

    def test_doubled_up_nodes_go_first(self) -> None:
        alone = make_pod("alone", ready=ago(100), node="n2")
        first = make_pod("b-first", ready=ago(100))
        second = make_pod("a-second", ready=ago(100))
        assert self.names(alone, first, second) == ["a-second", "b-first", "alone"]

    def test_ready_for_a_shorter_time_goes_first_by_magnitude(self) -> None:
        long = make_pod("long", ready=ago(10_000))
        short = make_pod("short", ready=ago(10))
        assert self.names(long, short) == ["short", "long"]

    def test_about_equal_ages_go_by_uid(self) -> None:
        older = make_pod("a", ready=ago(1000))
        newer = make_pod("b", ready=ago(900))
        assert self.names(newer, older) == ["a", "b"]

    def test_more_restarts_then_later_creation_go_first(self) -> None:
        restarted = make_pod("restarted", restarts=3, created=ago(10_000))
        fresh = make_pod("fresh", created=ago(10))
        old = make_pod("old", created=ago(10_000))
        assert self.names(old, fresh, restarted) == ["restarted", "fresh", "old"]


class TestCount:
    def test_too_few(self) -> None:
        assert count.plan(5, [ready("a"), unready("b")], NOW) == (CreatePods(3),)

    def test_enough(self) -> None:
        assert count.plan(2, [ready("a"), unready("b")], NOW) == ()

    def test_too_many_in_deletion_order(self) -> None:
        pods = [ready("a", seconds=10_000), unready("b"), ready("c", seconds=10)]
        assert count.plan(1, pods, NOW) == (
            DeletePod(pods[1], "surplus"),
            DeletePod(pods[2], "surplus"),
        )

    def test_ended_and_deleted_pods_do_not_count(self) -> None:
        pods = [make_pod("a", phase="Failed"), make_pod("b", deleting=NOW), ready("c")]
        assert count.plan(2, pods, NOW) == (CreatePods(1),)

    def test_one_plan_is_bounded(self) -> None:
        assert count.plan(10_000, [], NOW) == (CreatePods(500),)


class TestStatus:
    def test_counts_and_conditions(self) -> None:
        rc = make_rc(generation=4)
        pods = [ready("a", seconds=5), ready("b", seconds=50), unready("c")]
        pods.append(make_pod("d", labels={"app": "web", "x": "y"}, phase="Failed"))
        status = status_of(rc, pods, 10, NOW, failure=("FailedCreate", "quota"), progressing=None)
        assert status.to_dict() == {
            "replicas": 3,
            "fullyLabeledReplicas": 3,
            "readyReplicas": 2,
            "availableReplicas": 1,
            "observedGeneration": 4,
            "conditions": [
                {
                    "type": "ReplicaFailure",
                    "status": "True",
                    "lastTransitionTime": format_time(NOW),
                    "reason": "FailedCreate",
                    "message": "quota",
                }
            ],
        }
        assert next_available(pods, 10, NOW) == 5

    def test_the_same_failure_keeps_its_time(self) -> None:
        rc = make_rc()
        first = status_of(rc, [], 0, ago(100), failure=("R", "m"), progressing=None)
        rc = rc.replace(status=first)
        assert status_of(rc, [], 0, NOW, failure=("R", "m"), progressing=None) == first


class TestTemplate:
    def test_the_hash_is_fixed_for_ever(self) -> None:
        template = make_rc().spec.template
        assert template is not None
        # A change here would replace every running pod on an upgrade of the daemon.
        assert template_hash(template) == "5ed2c00526661b23"

    def test_the_hash_does_not_depend_on_the_order_of_maps(self) -> None:
        template = make_rc().spec.template
        assert template is not None
        meta = template.metadata
        one = template.replace(metadata=meta.replace(labels={"a": "1", "b": "2"}))
        two = template.replace(metadata=meta.replace(labels={"b": "2", "a": "1"}))
        assert template_hash(one) == template_hash(two) != template_hash(template)

    def test_a_pod_from_the_template(self) -> None:
        rc = make_rc()
        pod = pod_from_template(rc, "h")
        assert pod.metadata.to_dict() == {
            "creationTimestamp": None,
            "generateName": "web-",
            "namespace": "default",
            "labels": {"app": "web"},
            "annotations": {TEMPLATE_HASH: "h", SHAPE: "6920faa18622ed81"},
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "ReplicationController",
                    "name": "web",
                    "uid": "uid-web",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        }
        assert rc.spec.template is not None
        assert pod.spec is rc.spec.template.spec
