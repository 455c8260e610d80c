"""A pod that names its node is held to what the node has, as by Kubernetes' kubelet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.kubelet.fitting import misfit, was_bound
from reconciler.model.node import Node
from reconciler.model.pod import Pod

HAS = {"cpu": "2", "memory": "1Gi", "pods": "3"}


def a_node(**allocatable: str) -> Node:
    manifest = {"metadata": {"name": "n", "labels": {"disk": "ssd"}},
                "status": {"allocatable": HAS | allocatable}}  # fmt: skip
    return Node.model_validate_json(json.dumps(manifest))


def a_pod(name: str, *, began: bool = False, phase: str = "", made: int = 0, **spec: Any) -> Pod:
    container = {"name": "c", "image": "i", **spec.pop("container", {})}
    status = {"phase": phase, **({"startTime": "2026-01-01T00:00:00Z"} if began else {})}
    metadata = {"name": name, "uid": name, "creationTimestamp": f"2026-01-01T00:00:{made:02}Z"}
    manifest = {"metadata": metadata, "spec": {"nodeName": "n", "containers": [container], **spec},
                "status": status}  # fmt: skip
    return Pod.model_validate_json(json.dumps(manifest))


def asking(**amounts: str) -> dict[str, Any]:
    return {"resources": {"requests": amounts}}


def port(number: int, **fields: Any) -> dict[str, Any]:
    return {"ports": [{"containerPort": 80, "hostPort": number, **fields}]}


ELSEWHERE = {"nodeSelector": {"disk": "hdd"}}


@pytest.mark.parametrize(
    ("pod", "reason", "message"),
    [
        (
            {"container": asking(cpu="1500m")},
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
        ),
        (
            {"container": asking(memory="2Gi")},
            "OutOfmemory",
            (
                "Node didn't have enough resource: memory, requested: 2147483648, used: 0, "
                "capacity: 1073741824"
            ),
        ),
        (
            ELSEWHERE,
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
        (
            {"container": port(8080, hostIP="127.0.0.1")},
            "NodePorts",
            (
                "Predicate NodePorts failed: "
                "node(s) didn't have free ports for the requested pod ports"
            ),
        ),
    ],
)
def test_what_does_not_fit_is_rejected(pod: dict[str, Any], reason: str, message: str) -> None:
    other = a_pod("other", began=True, container={**asking(cpu="1"), **port(8080)})
    found = misfit(a_pod("new", **pod), a_node(), [other])
    assert found is not None
    assert (found.reason, found.message) == (reason, message)


@pytest.mark.parametrize(
    "pod",
    [
        {"container": asking(cpu="1", memory="1Gi")},
        {"container": port(8080, protocol="UDP")},
        {"container": asking(**{"example.com/gpu": "1"})},
        {"nodeSelector": {"disk": "ssd"}},
    ],
)
def test_what_fits_runs(pod: dict[str, Any]) -> None:
    other = a_pod("other", began=True, container={**asking(cpu="1"), **port(8080)})
    assert misfit(a_pod("new", **pod), a_node(), [other]) is None


def test_only_who_has_a_place_takes_room() -> None:
    web = {"container": port(8080)}
    new = a_pod("new", made=5, **web)

    def clashes(other: Pod) -> bool:
        return misfit(new, a_node(), [other]) is not None

    assert clashes(a_pod("older", made=4, **web))
    assert not clashes(a_pod("younger", made=6, **web))
    assert clashes(a_pod("younger", made=6, began=True, **web))
    assert clashes(a_pod("at-once", made=5, **web))
    assert not clashes(a_pod("same-time", made=5, **web))
    assert not clashes(a_pod("older", made=4, began=True, phase="Succeeded", **web))
    assert not clashes(new)


def test_a_node_is_full_by_number() -> None:
    others = [a_pod(f"p{number}", began=True) for number in range(3)]
    assert misfit(a_pod("new"), a_node(), others[:2]) is None
    found = misfit(a_pod("new"), a_node(), others)
    assert found is not None
    assert found.reason == "OutOfpods"


def test_who_was_bound_is_known_by_its_condition() -> None:
    bound = {"conditions": [{"type": "PodScheduled", "status": "True"}]}
    pod = a_pod("new")
    assert not was_bound(pod)
    assert was_bound(Pod.model_validate_json(json.dumps({**pod.to_dict(), "status": bound})))
