"""What placing costs: processor time of 1,000 decisions one after the other on 10 nodes."""

from __future__ import annotations

import json
import time
from typing import Any

from reconciler.model.meta import ObjectMeta
from reconciler.model.node import Node, NodeCondition, NodeStatus
from reconciler.model.pod import Pod
from reconciler.scheduler.decision import Placed, Refused, decide
from reconciler.scheduler.preemption import preempt
from reconciler.scheduler.snapshot import Snapshot

PODS, NODES = 1000, 10

WEB = {"labelSelector": {"matchLabels": {"app": "web"}}}
ZONE, HOST = {"topologyKey": "zone"}, {"topologyKey": "kubernetes.io/hostname"}
HARD = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
SOFT = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "spread": {"topologySpreadConstraints": [WEB | ZONE | HARD, WEB | HOST | SOFT]},
    "affinity": {"affinity": {"podAffinity": {REQUIRED: [WEB | ZONE]}}},
    "preferred anti-affinity": {
        "affinity": {
            "podAntiAffinity": {PREFERRED: [{"weight": 50, "podAffinityTerm": WEB | HOST}]}
        }
    },
}


def node(number: int, cpus: int) -> Node:
    labels = {"kubernetes.io/hostname": f"n{number}", "zone": f"z{number % 3}"}
    room = {"cpu": str(cpus), "memory": "1Ti", "pods": str(2 * PODS)}
    ready = NodeCondition(type="Ready", status="True")
    return Node(
        metadata=ObjectMeta(name=f"n{number}", labels=labels),
        status=NodeStatus(allocatable=room, conditions=(ready,)),
    )


def pod(number: int, spec: dict[str, Any]) -> Pod:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}
    meta = {"name": f"p{number}", "namespace": "default", "uid": str(number),
            "labels": {"app": "web"}}  # fmt: skip
    manifest = {"metadata": meta, "spec": {"containers": [container], **spec}}
    return Pod.model_validate_json(json.dumps(manifest))


def snapshot(cpus: int) -> Snapshot:
    made = Snapshot()
    for number in range(NODES):
        made.set_node(node(number, cpus))
    return made


def placing(spec: dict[str, Any]) -> float:
    made, pods = snapshot(PODS), [pod(number, spec) for number in range(PODS)]
    began = time.process_time()
    for each in pods:
        found = decide(each, made.nodes(), 1, spaces=made.spaces, crowded=made.crowded(each))
        if not isinstance(found, Placed):
            raise SystemExit(found.message)
        made.place(each, found.node)
    return time.process_time() - began


def preempting() -> float:
    """Every node is full of pods of low priority: choose the victims for one more important."""
    made = snapshot(PODS // NODES)
    for number in range(PODS):
        made.place(pod(number, {"priority": number % 7}), f"n{number % NODES}")
    wanted = pod(PODS, {"priority": 100})
    began = time.process_time()
    refused = decide(wanted, made.nodes(), 1, crowded=made.crowded(wanted))
    if not isinstance(refused, Refused):
        raise SystemExit("it was placed")
    preempt(refused.request, refused.by_node, made.tenants(), made.crowded(wanted))
    return time.process_time() - began


def main() -> None:
    """Print the processor time of each case."""
    for name, spec in CASES.items():
        print(f"{PODS} pods on {NODES} nodes, {name}: {placing(spec):.3f} s")
    print(f"victims among {PODS} pods on {NODES} nodes: {preempting() * 1000:.1f} ms")


if __name__ == "__main__":
    main()
