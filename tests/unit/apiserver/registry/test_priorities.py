"""PriorityClasses: what they may be, and what they make of pods."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.priorityclass import PriorityClass

SPEC = {"containers": [{"name": "c", "image": "x"}]}


def priority_class(name: str = "high", value: int = 100, **more: Any) -> PriorityClass:
    return PriorityClass(metadata=ObjectMeta(name=name), value=value, **more)


def told(virtual: Any, write: Any) -> str:
    with pytest.raises(StatusError) as refused:
        virtual.run_until_complete(write)
    return refused.value.message


@pytest.fixture
def create(virtual: Any, registry: Registry, make: Any) -> Any:
    def pod(name: str = "p", **spec: Any) -> Pod:
        return virtual.run_until_complete(registry.create(make("Pod", name, spec=SPEC | spec)))

    return pod


def test_a_pod_gets_what_its_class_says(virtual: Any, registry: Registry, create: Any) -> None:
    calm = priority_class(preemption_policy="Never")
    virtual.run_until_complete(registry.create(calm))
    spec = create(priorityClassName="high").spec
    assert (spec.priority, spec.preemption_policy) == (100, "Never")
    plain = create("plain").spec
    assert (plain.priority, plain.preemption_policy, plain.priority_class_name) == (
        0, "PreemptLowerPriority", "",
    )  # fmt: skip


def test_the_systems_classes_are_there_and_stay(
    virtual: Any, registry: Registry, create: Any
) -> None:
    assert create(priorityClassName="system-cluster-critical").spec.priority == 2_000_000_000
    assert create("q", priorityClassName="system-node-critical").spec.priority == 2_000_001_000
    why = told(virtual, registry.delete(PriorityClass, "system-node-critical"))
    assert "this is a system priority class and cannot be deleted" in why


def test_the_default_class_is_that_of_pods_without_one(
    virtual: Any, registry: Registry, create: Any
) -> None:
    usual = priority_class("usual", 7, global_default=True)
    virtual.run_until_complete(registry.create(usual))
    spec = create().spec
    assert (spec.priority_class_name, spec.priority) == ("usual", 7)
    why = told(virtual, registry.create(priority_class("other", 8, global_default=True)))
    assert "PriorityClass usual is already marked as default. Only one default can exist" in why


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"priorityClassName": "none"}, "no PriorityClass with name none was found"),
        ({"priority": 5}, "the integer value of priority (5) must not be provided in pod spec"),
        (
            {"preemptionPolicy": "Never"},
            (
                "the string value of PreemptionPolicy (Never) must not be provided in pod spec; "
                "priority admission controller computed PreemptLowerPriority"
            ),
        ),
    ],
)
def test_what_a_pod_may_not_say(
    virtual: Any, registry: Registry, make: Any, spec: dict[str, Any], why: str
) -> None:
    assert why in told(virtual, registry.create(make("Pod", "p", spec=SPEC | spec)))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (
            priority_class("system-mine"),
            (
                "names with 'system-' prefix are reserved for system use only. error: "
                "system-mine is not a known system priority class"
            ),
        ),
        (
            priority_class(value=1_000_000_001),
            "maximum allowed value of a user defined priority is 1000000000",
        ),
        (
            priority_class(preemption_policy="Maybe"),
            (
                'preemptionPolicy: Unsupported value: "Maybe": supported values: "Never", '
                '"PreemptLowerPriority"'
            ),
        ),
    ],
)
def test_what_a_class_may_not_be(
    virtual: Any, registry: Registry, made: PriorityClass, why: str
) -> None:
    assert why in told(virtual, registry.create(made))


def test_what_pods_were_given_does_not_change(virtual: Any, registry: Registry) -> None:
    virtual.run_until_complete(registry.create(priority_class()))
    why = told(virtual, registry.update(priority_class(value=5)))
    assert "value: Forbidden: may not be changed in an update." in why
    why = told(virtual, registry.update(priority_class(preemption_policy="Never")))
    assert 'preemptionPolicy: Invalid value: "Never": field is immutable' in why
    described = registry.update(priority_class(description="for the shop"))
    assert virtual.run_until_complete(described).metadata.generation == 1


def affinity(**term: Any) -> dict[str, Any]:
    held = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}} | term
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [held]}}


def test_label_keys_become_requirements_with_the_pods_own_values(
    virtual: Any, registry: Registry, make: Any
) -> None:
    keys = {"matchLabelKeys": ["version", "absent"], "mismatchLabelKeys": ["tenant"]}
    spec = SPEC | {"affinity": affinity(**keys)}
    labels = {"labels": {"app": "web", "version": "2", "tenant": "a"}}
    pod = virtual.run_until_complete(registry.create(make("Pod", "p", metadata=labels, spec=spec)))
    term = pod.spec.affinity.pod_affinity.required_during_scheduling_ignored_during_execution[0]
    assert [(e.key, e.operator, e.values) for e in term.label_selector.match_expressions] == [
        ("version", "In", ("2",)),
        ("tenant", "NotIn", ("a",)),
    ]
    again = virtual.run_until_complete(
        registry.update(make("Pod", "p", metadata=labels, spec=spec | {"nodeName": ""}))
    )
    assert again.spec == pod.spec


@pytest.mark.parametrize(
    ("term", "why"),
    [
        (
            {"matchLabelKeys": ["app"]},
            "exists in both matchLabelKeys and labelSelector",
        ),
        (
            {"matchLabelKeys": ["a"], "mismatchLabelKeys": ["a"]},
            "exists in both matchLabelKeys and mismatchLabelKeys",
        ),
        (
            {"matchLabelKeys": ["a"], "labelSelector": None},
            "matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
        ),
        ({"matchLabelKeys": ["a b"]}, "name part must consist of alphanumeric characters"),
    ],
)
def test_label_keys_that_make_no_sense(
    virtual: Any, registry: Registry, make: Any, term: dict[str, Any], why: str
) -> None:
    labels = {"labels": {"app": "web", "a": "1"}}
    spec = SPEC | {"affinity": affinity(**term)}
    assert why in told(virtual, registry.create(make("Pod", "p", metadata=labels, spec=spec)))


def test_label_keys_of_a_spread_constraint(virtual: Any, registry: Registry, make: Any) -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "matchLabelKeys": ["app"],
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    spec = SPEC | {"topologySpreadConstraints": [constraint]}
    assert (
        'matchLabelKeys[0]: Invalid value: "app": exists in both matchLabelKeys and labelSelector'
    ) in told(virtual, registry.create(make("Pod", "p", spec=spec)))
