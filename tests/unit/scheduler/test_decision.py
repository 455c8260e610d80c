"""Whole decisions: where a pod goes, or Kubernetes' words for why it goes nowhere."""

from __future__ import annotations

import pytest

from reconciler.model.container import Container, ContainerPort, ResourceRequirements
from reconciler.model.demand import demand_of
from reconciler.model.node import Node, Taint
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.scheduling import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PreferredSchedulingTerm,
    Toleration,
)
from reconciler.scheduler.decision import Placed, Refused, decide
from tests.unit.scheduler.builders import make_node, make_pod, place, refusal, world


def host_port(port: int, ip: str = "", protocol: str = "TCP") -> ContainerPort:
    return ContainerPort(container_port=80, host_port=port, host_ip=ip, protocol=protocol)


def test_a_pod_that_fits_is_placed() -> None:
    assert place(make_pod(requests={"cpu": "2", "memory": "4Gi"}), world(make_node())) == "n1"


@pytest.mark.parametrize(
    ("pod", "node", "reason"),
    [
        (make_pod(), make_node(unschedulable=True), "node(s) were unschedulable"),
        (
            make_pod(),
            make_node(ready=False),
            "node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
        ),
        (
            make_pod(),
            make_node(taints=(Taint(key="gpu", value="a", effect="NoExecute"),)),
            "node(s) had untolerated taint {gpu: a}",
        ),
        (
            make_pod(node_selector={"disk": "ssd"}),
            make_node(labels={"disk": "hdd"}),
            "node(s) didn't match Pod's node affinity/selector",
        ),
        (make_pod(requests={"cpu": "2001m"}), make_node(), "Insufficient cpu"),
        (make_pod(requests={"example.com/gpu": "1"}), make_node(), "Insufficient example.com/gpu"),
        (make_pod(), make_node(room={"cpu": "1", "memory": "1Gi", "pods": "0"}), "Too many pods"),
    ],
)
def test_each_refusal_in_kubernetes_words(pod: Pod, node: Node, reason: str) -> None:
    assert refusal(pod, world(node)) == f"0/1 nodes are available: 1 {reason}."


def test_no_nodes() -> None:
    assert refusal(make_pod(), world()) == "no nodes available to schedule pods"


def test_reasons_are_counted_and_sorted() -> None:
    snapshot = world(
        make_node("a", room={"cpu": "1", "memory": "1Gi", "pods": "9"}),
        make_node("b", room={"cpu": "1", "memory": "9Gi", "pods": "9"}),
        make_node("c", unschedulable=True),
    )
    assert refusal(make_pod(requests={"cpu": "2", "memory": "2Gi"}), snapshot) == (
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, "
        "2 Insufficient cpu."
    )


def test_placed_pods_use_up_the_node_until_they_go() -> None:
    big = make_pod("big", requests={"cpu": "1500m"})
    snapshot = world(make_node(), placed=[(big, "n1")])
    wanted = make_pod(requests={"cpu": "600m"})
    assert "Insufficient cpu" in refusal(wanted, snapshot)
    snapshot.place(big, "n1")  # seen again: counts once
    assert snapshot.remove(big.metadata.uid)
    assert not snapshot.remove(big.metadata.uid)
    assert place(wanted, snapshot) == "n1"


def test_a_node_that_comes_back_still_has_its_pods() -> None:
    node = make_node(room={"cpu": "1", "memory": "1Gi", "pods": "1"})
    snapshot = world(node, placed=[(make_pod("old"), "n1")])
    snapshot.remove_node("n1")
    assert refusal(make_pod(), snapshot) == "no nodes available to schedule pods"
    snapshot.set_node(node)
    assert "Too many pods" in refusal(make_pod(), snapshot)


@pytest.mark.parametrize(
    ("wanted", "clash"),
    [
        (host_port(80), True),
        (host_port(80, ip="127.0.0.1"), True),
        (host_port(80, protocol="UDP"), False),
        (host_port(81), False),
    ],
)
def test_host_ports(wanted: ContainerPort, clash: bool) -> None:
    snapshot = world(make_node(), placed=[(make_pod("taken", ports=(host_port(80),)), "n1")])
    decision = decide(make_pod(ports=(wanted,)), snapshot.nodes(), 1)
    assert isinstance(decision, Refused) == clash


def test_host_ports_on_different_addresses_do_not_clash() -> None:
    taken = make_pod("taken", ports=(host_port(80, ip="10.0.0.1"),))
    snapshot = world(make_node(), placed=[(taken, "n1")])
    assert place(make_pod(ports=(host_port(80, ip="10.0.0.2"),)), snapshot) == "n1"


def test_tolerations() -> None:
    node = make_node(taints=(Taint(key="gpu", value="a", effect="NoSchedule"),))
    for toleration in (
        Toleration(operator="Exists"),
        Toleration(key="gpu", operator="Exists", effect="NoSchedule"),
        Toleration(key="gpu", value="a"),
    ):
        assert place(make_pod(tolerations=(toleration,)), world(node)) == "n1"
    wrong = Toleration(key="gpu", operator="Equal", value="b")
    assert "untolerated" in refusal(make_pod(tolerations=(wrong,)), world(node))


def requirement(operator: str, *values: str) -> NodeSelectorRequirement:
    return NodeSelectorRequirement(key="zone", operator=operator, values=values)


def required(*terms: NodeSelectorTerm) -> Affinity:
    return Affinity(
        node_affinity=NodeAffinity(
            required_during_scheduling_ignored_during_execution=NodeSelector(
                node_selector_terms=terms
            )
        )
    )


@pytest.mark.parametrize(
    ("term", "fits"),
    [
        (NodeSelectorTerm(match_expressions=(requirement("In", "a", "b"),)), True),
        (NodeSelectorTerm(match_expressions=(requirement("NotIn", "a"),)), False),
        (NodeSelectorTerm(match_expressions=(requirement("Exists"),)), True),
        (NodeSelectorTerm(match_expressions=(requirement("DoesNotExist"),)), False),
        (NodeSelectorTerm(), False),
        (
            NodeSelectorTerm(
                match_fields=(
                    NodeSelectorRequirement(key="metadata.name", operator="In", values=("n1",)),
                )
            ),
            True,
        ),
    ],
)
def test_required_node_affinity(term: NodeSelectorTerm, fits: bool) -> None:
    node = make_node(labels={"zone": "a"})
    decision = decide(make_pod(affinity=required(term)), world(node).nodes(), 1)
    assert isinstance(decision, Placed) == fits


def test_free_nodes_are_better() -> None:
    busy = make_pod("busy", requests={"cpu": "1"})
    snapshot = world(make_node("a"), make_node("b"), placed=[(busy, "a")])
    assert place(make_pod(), snapshot) == "b"


def test_pods_of_one_controller_spread() -> None:
    nodes = [make_node("a"), make_node("b"), make_node("c")]
    snapshot = world(*nodes)
    for number in range(6):
        pod = make_pod(f"p{number}", owner="rc")
        snapshot.place(pod, place(pod, snapshot))
    assert [use.pods for use in snapshot.nodes()] == [2, 2, 2]


def test_preferred_affinity_and_taints() -> None:
    term = NodeSelectorTerm(match_expressions=(requirement("In", "b"),))
    wish = Affinity(
        node_affinity=NodeAffinity(
            preferred_during_scheduling_ignored_during_execution=(
                PreferredSchedulingTerm(weight=10, preference=term),
            )
        )
    )
    nodes = [make_node("a", labels={"zone": "a"}), make_node("b", labels={"zone": "b"})]
    assert {place(make_pod(affinity=wish), world(*nodes), seed) for seed in range(9)} == {"b"}
    soft = make_node("b", taints=(Taint(key="x", effect="PreferNoSchedule"),))
    assert {place(make_pod(), world(nodes[0], soft), seed) for seed in range(9)} == {"a"}


def test_ties_are_broken_by_the_seed_alone() -> None:
    snapshot = world(*[make_node(name) for name in "abcd"])
    chosen = [place(make_pod(), snapshot, seed) for seed in range(30)]
    assert chosen == [place(make_pod(), snapshot, seed) for seed in range(30)]
    assert len(set(chosen)) == 4


def test_demand_of_init_containers_and_sidecars() -> None:
    def container(name: str, cpu: str, policy: str | None = None) -> Container:
        resources = ResourceRequirements(requests={"cpu": cpu})
        return Container(name=name, resources=resources, restart_policy=policy)

    pod = make_pod().replace(
        spec=PodSpec(
            containers=(container("a", "100m"), container("b", "200m")),
            init_containers=(
                container("first", "250m"),
                container("sidecar", "50m", "Always"),
                container("last", "400m"),
            ),
            overhead={"cpu": "10m"},
        )
    )
    assert demand_of(pod).resources == {"cpu": 460}
