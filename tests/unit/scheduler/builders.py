"""Nodes, pods and snapshots for the tests of decisions, and what a decision says."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.container import Container, ResourceRequirements
from reconciler.model.meta import ObjectMeta, OwnerReference
from reconciler.model.node import Node, NodeCondition, NodeSpec, NodeStatus, Taint
from reconciler.model.pod import Pod, PodSpec
from reconciler.scheduler.decision import Placed, Refused, decide
from reconciler.scheduler.snapshot import Snapshot

ROOM = {"cpu": "2", "memory": "4Gi", "pods": "110"}


def make_node(
    name: str = "n1",
    *,
    labels: dict[str, str] | None = None,
    taints: tuple[Taint, ...] = (),
    unschedulable: bool = False,
    ready: bool = True,
    room: dict[str, str] | None = None,
) -> Node:
    state = NodeCondition(type="Ready", status="True" if ready else "False")
    return Node(
        metadata=ObjectMeta(name=name, labels=labels or {}),
        spec=NodeSpec(taints=taints, unschedulable=unschedulable),
        status=NodeStatus(allocatable=room or ROOM, conditions=(state,)),
    )


def make_pod(
    name: str = "p",
    owner: str = "",
    requests: dict[str, str] | None = None,
    *,
    labels: dict[str, str] | None = None,
    namespace: str = "default",
    since: str = "",
    **spec: object,
) -> Pod:
    ports = tuple(spec.pop("ports", ()))  # type: ignore[arg-type]
    container = Container(
        name="c", image="i", ports=ports, resources=ResourceRequirements(requests=requests or {})
    )
    owners = (OwnerReference(uid=owner, controller=True),) if owner else ()
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace=namespace,
            uid=f"uid-{name}",
            owner_references=owners,
            labels=labels or {},
            creation_timestamp=since or None,
        ),
        spec=PodSpec(containers=(container,), **spec),  # type: ignore[arg-type]
    )


def world(*nodes: Node, placed: Iterable[tuple[Pod, str]] = ()) -> Snapshot:
    snapshot = Snapshot()
    for node in nodes:
        snapshot.set_node(node)
    for pod, name in placed:
        snapshot.place(pod, name)
    return snapshot


def refusal(pod: Pod, snapshot: Snapshot) -> str:
    decision = decide(pod, snapshot.nodes(), 1, spaces=snapshot.spaces)
    assert isinstance(decision, Refused)
    return decision.message


def place(pod: Pod, snapshot: Snapshot, seed: int = 1) -> str:
    decision = decide(pod, snapshot.nodes(), seed, spaces=snapshot.spaces)
    assert isinstance(decision, Placed)
    return decision.node
