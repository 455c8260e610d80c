"""Safety of placing pods one after the other, and of the snapshot's arithmetic."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.container import Container, ContainerPort, ResourceRequirements
from reconciler.model.meta import ObjectMeta
from reconciler.model.node import Node, NodeCondition, NodeStatus
from reconciler.model.pod import Pod, PodSpec
from reconciler.scheduler.decision import Placed, Refused, decide
from reconciler.scheduler.snapshot import NodeUse, Snapshot


def make_pod(number: int, cpu: int, port: int) -> Pod:
    ports = (ContainerPort(container_port=80, host_port=port, protocol="TCP"),) if port else ()
    requests = {"cpu": f"{cpu}m"} if cpu else {}
    container = Container(name="c", ports=ports, resources=ResourceRequirements(requests=requests))
    meta = ObjectMeta(name=f"p{number}", namespace="default", uid=f"u{number}")
    return Pod(metadata=meta, spec=PodSpec(containers=(container,)))


def make_node(number: int, cpu: int, pods: int) -> Node:
    ready = NodeCondition(type="Ready", status="True")
    room = {"cpu": f"{cpu}m", "memory": "1Gi", "pods": str(pods)}
    status = NodeStatus(allocatable=room, conditions=(ready,))
    return Node(metadata=ObjectMeta(name=f"n{number}"), status=status)


PODS = st.lists(st.tuples(st.integers(0, 500), st.sampled_from([0, 0, 0, 80, 81])), max_size=25)
NODES = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 6)), max_size=4)


def fits(pod: Pod, use: NodeUse) -> bool:
    """Say, in other words than the filters', whether the pod could still go there."""
    cpu = pod.spec.containers[0].resources.requests.get("cpu", "0m")
    asked = int(cpu.removesuffix("m"))
    taken = {port.port for port in use.host_ports}
    wanted = {port.host_port for port in pod.spec.containers[0].ports}
    room = asked == 0 or use.used["cpu"] + asked <= use.allocatable["cpu"]
    return room and use.pods < use.allocatable["pods"] and not taken & wanted


@settings(max_examples=200, deadline=None)
@given(pods=PODS, nodes=NODES, seed=st.integers(0, 5))
def test_nodes_are_never_overcommitted_and_a_refusal_is_true(
    pods: list[tuple[int, int]], nodes: list[tuple[int, int]], seed: int
) -> None:
    snapshot = Snapshot()
    for number, (cpu, room) in enumerate(nodes):
        snapshot.set_node(make_node(number, cpu, room))
    for number, (cpu, port) in enumerate(pods):
        pod = make_pod(number, cpu, port)
        match decide(pod, snapshot.nodes(), seed):
            case Placed(node):
                snapshot.place(pod, node)
            case Refused(message):
                assert not any(fits(pod, use) for use in snapshot.nodes())
                assert message.startswith((f"0/{len(nodes)} nodes are available: ", "no nodes"))
        for use in snapshot.nodes():
            assert use.used["cpu"] <= use.allocatable["cpu"]
            assert use.pods <= use.allocatable["pods"]
            assert all(count == 1 for count in use.host_ports.values())


STEPS = st.lists(
    st.tuples(st.sampled_from(["place", "remove", "drop", "back"]), st.integers(0, 8)), max_size=40
)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_the_snapshot_is_what_it_would_be_if_made_anew(steps: list[tuple[str, int]]) -> None:
    snapshot = Snapshot()
    placed: dict[int, str] = {}
    known: set[int] = set()
    for number, (what, index) in enumerate(steps):
        name, node = f"n{index % 3}", index % 3
        match what:
            case "place":
                snapshot.place(make_pod(index, 100 + index, 0), name)
                placed[index] = name
            case "remove":
                assert snapshot.remove(f"u{index}") == (index in placed)
                placed.pop(index, None)
            case "drop":
                snapshot.remove_node(name)
                known.discard(node)
            case _:
                snapshot.set_node(make_node(node, 1000 + number, 10))
                known.add(node)

    uses = snapshot.nodes()
    assert [use.name for use in uses] == sorted(f"n{node}" for node in known)
    for use in uses:
        mine = [index for index, name in placed.items() if name == use.name]
        assert use.pods == len(mine)
        assert use.used["cpu"] == sum(100 + index for index in mine)
