"""EndpointSlices for small worlds, and how little a change of the pods writes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.controllers.endpointslice.plan import CAPACITY, MANAGER, plan
from reconciler.controllers.slices import (
    HEADLESS,
    Action,
    CreateSlice,
    DeleteSlice,
    UpdateSlice,
)
from reconciler.controllers.triggertime import TRIGGER_TIME
from reconciler.model.container import ContainerPort
from reconciler.model.endpointslice import MANAGED_BY, SERVICE_NAME, EndpointSlice
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.service import Service, ServicePort, ServiceSpec
from tests.unit.controllers.builders import make_pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
THEN = "2026-01-01T00:00:00Z"


def make_service(*ports: ServicePort, uid: str = "uid-web", **spec: object) -> Service:
    chosen = ports or (ServicePort(name="http", port=80, target_port=8080, protocol="TCP"),)
    told = {"cluster_ip": "10.96.0.1", "type": "ClusterIP", **spec}
    return Service(
        metadata=ObjectMeta(name="web", namespace="default", uid=uid, labels={"l": "1"}),
        spec=ServiceSpec(ports=chosen, selector={"app": "web"}, **told),  # type: ignore[arg-type]
    )


def pods_of(numbers: Iterable[int], **rest: object) -> list[Pod]:
    return [
        make_pod(f"p{n}", ip=f"10.244.{n // 200}.{n % 200 + 2}", ready=NOW, **rest)  # type: ignore[arg-type]
        for n in numbers
    ]


def planned(
    service: Service,
    pods: Iterable[Pod],
    existing: Iterable[EndpointSlice] = (),
    zones: dict[str, str] | None = None,
    trigger: str = "",
) -> tuple[Action, ...]:
    found = zones or {}
    return plan(service, pods, existing, lambda node: found.get(node, ""), trigger)


class Shelf:
    """The slices that there are, as the API would keep them."""

    def __init__(self, service: Service | None = None) -> None:
        self.service = service or make_service()
        self.slices: dict[str, EndpointSlice] = {}
        self._names = count()

    def settle(self, pods: Sequence[Pod]) -> tuple[Action, ...]:
        actions = planned(self.service, pods, self.slices.values())
        for action in actions:
            self._do(action)
        assert planned(self.service, pods, self.slices.values()) == ()
        return actions

    def sizes(self) -> list[int]:
        return sorted(len(obj.endpoints) for obj in self.slices.values())

    def _do(self, action: Action) -> None:
        meta = action.slice.metadata
        match action:
            case CreateSlice(obj):
                name = f"{meta.generate_name}{next(self._names):05}"
                self.slices[name] = obj.replace(metadata=meta.replace(name=name, uid=name))
            case UpdateSlice(obj):
                assert meta.name in self.slices
                self.slices[meta.name] = obj
            case DeleteSlice():
                del self.slices[meta.name]


def test_the_whole_object() -> None:
    ready = make_pod("a", ip="10.244.0.9", ready=NOW)
    (made,) = planned(make_service(), [ready], zones={"n1": "east"}, trigger=THEN)
    assert isinstance(made, CreateSlice)
    assert made.slice.to_dict() == {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": "web-",
            "namespace": "default",
            "creationTimestamp": None,
            "labels": {"l": "1", SERVICE_NAME: "web", MANAGED_BY: MANAGER},
            "annotations": {TRIGGER_TIME: THEN},
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "name": "web",
                    "uid": "uid-web",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["10.244.0.9"],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {
                    "kind": "Pod",
                    "namespace": "default",
                    "name": "a",
                    "uid": "uid-a",
                },
                "nodeName": "n1",
                "zone": "east",
            }
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize(
    ("ready", "deleting", "expected"),
    [
        (True, False, (True, True, False)),
        (False, False, (False, False, False)),
        (True, True, (False, True, True)),
        (False, True, (False, False, True)),
    ],
)
def test_conditions(
    tolerant: bool, ready: bool, deleting: bool, expected: tuple[bool, bool, bool]
) -> None:
    pod = make_pod(
        "a", ip="10.244.0.9", ready=NOW if ready else None, deleting=NOW if deleting else None
    )
    (made,) = planned(make_service(publish_not_ready_addresses=tolerant), [pod])
    state = made.slice.endpoints[0].conditions
    found = (state.ready, state.serving, state.terminating)
    assert found == (tolerant or expected[0], *expected[1:])


def test_ended_and_addressless_pods_are_out() -> None:
    pods = [make_pod("failed", ip="10.244.0.2", phase="Failed"), make_pod("young")]
    (made,) = planned(make_service(), pods)
    assert (made.slice.endpoints, made.slice.ports) == ((), ())


def test_pods_of_other_ports_are_in_other_slices() -> None:
    def named(number: int) -> tuple[ContainerPort, ...]:
        return (ContainerPort(name="http", container_port=number, protocol="TCP"),)

    pods = [
        make_pod("a", ip="10.244.0.2", ready=NOW, ports=named(8080)),
        make_pod("b", ip="10.244.0.3", ready=NOW, ports=named(9090)),
        make_pod("c", ip="10.244.0.4", ready=NOW),
    ]
    service = make_service(
        ServicePort(name="web", port=80, target_port="http", protocol="TCP"),
        ServicePort(name="fix", port=81, target_port=81, protocol="TCP"),
    )
    made = [action.slice for action in planned(service, pods)]
    assert [
        ([port.port for port in obj.ports], [e.addresses for e in obj.endpoints]) for obj in made
    ] == [
        ([81], [("10.244.0.4",)]),
        ([81, 8080], [("10.244.0.2",)]),
        ([81, 9090], [("10.244.0.3",)]),
    ]


def test_headless_with_host_names() -> None:
    pod = make_pod("a", ip="10.244.0.2", ready=NOW)
    named = pod.replace(spec=pod.spec.replace(hostname="h", subdomain="web"))
    elsewhere = make_pod("b", ip="10.244.0.3", ready=NOW)
    elsewhere = elsewhere.replace(spec=elsewhere.spec.replace(hostname="h", subdomain="db"))
    (made,) = planned(make_service(cluster_ip="None"), [named, elsewhere])
    assert made.slice.metadata.labels[HEADLESS] == ""
    assert [e.hostname for e in made.slice.endpoints] == ["h", None]


def test_prefer_close_hints_at_the_zone_of_the_node() -> None:
    pods = [make_pod("a", ip="10.244.0.2", node="n1"), make_pod("b", ip="10.244.0.3", node="n2")]
    service = make_service(traffic_distribution="PreferClose")
    (made,) = planned(service, pods, zones={"n1": "east"})
    hints = [e.hints.to_dict() if e.hints else None for e in made.slice.endpoints]
    assert hints == [{"forZones": [{"name": "east"}]}, None]


def test_at_most_a_hundred_endpoints_in_a_slice() -> None:
    shelf = Shelf()
    shelf.settle(pods_of(range(250)))
    assert shelf.sizes() == [50, 100, 100]


def test_one_change_writes_one_slice() -> None:
    shelf = Shelf()
    pods = pods_of(range(250))
    shelf.settle(pods)
    before = dict(shelf.slices)
    (action,) = shelf.settle([make_pod("p7", ip="10.244.0.9"), *pods[:7], *pods[8:]])
    assert isinstance(action, UpdateSlice)
    changed = [name for name, obj in shelf.slices.items() if obj is not before[name]]
    assert changed == [action.slice.metadata.name]


def test_new_endpoints_fill_the_slice_that_they_fill_best() -> None:
    shelf = Shelf()
    shelf.settle(pods_of(range(250)))
    full = max(shelf.slices.values(), key=lambda obj: len(obj.endpoints))
    gone = {e.target_ref.name for e in full.endpoints[:10] if e.target_ref is not None}
    stay = [pod for pod in pods_of(range(250)) if pod.metadata.name not in gone]
    shelf.settle(stay)
    assert shelf.sizes() == [50, 90, 100]
    (action,) = shelf.settle([*stay, *pods_of(range(250, 260))])
    assert isinstance(action, UpdateSlice)
    assert shelf.sizes() == [50, 100, 100]
    (action,) = shelf.settle([*stay, *pods_of(range(250, 280))])
    assert shelf.sizes() == [70, 100, 100]


def test_new_endpoints_go_first_into_what_is_written_anyway() -> None:
    shelf = Shelf()
    shelf.settle(pods_of(range(150)))
    (action,) = shelf.settle(pods_of([*range(1, 150), 200]))
    assert isinstance(action, UpdateSlice)
    assert shelf.sizes() == [50, 100]


def test_the_last_endpoint_leaves_a_place_and_the_first_one_takes_it() -> None:
    shelf = Shelf()
    shelf.settle(pods_of([1]))
    (name,) = shelf.slices
    (emptied,) = shelf.settle([])
    assert isinstance(emptied, UpdateSlice)
    assert (emptied.slice.endpoints, emptied.slice.ports) == ((), ())
    (filled,) = shelf.settle(pods_of([2]))
    assert isinstance(filled, UpdateSlice)
    assert list(shelf.slices) == [name]


def test_labels_follow_the_service_and_reserved_ones_are_ours() -> None:
    shelf = Shelf()
    pods = pods_of([1])
    shelf.settle(pods)
    meta = shelf.service.metadata.replace(labels={"l": "2", MANAGED_BY: "me", HEADLESS: ""})
    shelf.service = shelf.service.replace(metadata=meta)
    (action,) = shelf.settle(pods)
    assert action.slice.metadata.labels == {"l": "2", SERVICE_NAME: "web", MANAGED_BY: MANAGER}


def test_slices_of_a_service_that_was_before_are_not_taken_over() -> None:
    shelf = Shelf()
    pods = pods_of([1])
    shelf.settle(pods)
    shelf.service = make_service(uid="another")
    actions = shelf.settle(pods)
    assert [type(action) for action in actions] == [CreateSlice, DeleteSlice]
    (obj,) = shelf.slices.values()
    assert [owner.uid for owner in obj.metadata.owner_references] == ["another"]


def test_the_trigger_is_noted_in_what_is_written_and_is_no_change_itself() -> None:
    shelf = Shelf()
    shelf.settle(pods_of([1]))
    (action,) = planned(shelf.service, pods_of([2]), shelf.slices.values(), trigger=THEN)
    assert action.slice.metadata.annotations == {TRIGGER_TIME: THEN}
    assert planned(shelf.service, pods_of([1]), shelf.slices.values(), trigger=THEN) == ()


def test_the_order_of_the_pods_changes_nothing() -> None:
    pods = pods_of(range(130))
    first = planned(make_service(), pods)
    random.Random(1).shuffle(pods)
    assert planned(make_service(), pods) == first


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.integers(0, 320), max_size=320), max_size=4))
def test_slices_hold_exactly_the_pods_whatever_came_before(rounds: list[set[int]]) -> None:
    shelf = Shelf()
    for numbers in rounds:
        shelf.settle(pods_of(sorted(numbers)))
        held = [
            endpoint.target_ref.name
            for obj in shelf.slices.values()
            for endpoint in obj.endpoints
            if endpoint.target_ref is not None
        ]
        assert sorted(held) == sorted(f"p{number}" for number in numbers)
        assert max(shelf.sizes()) <= CAPACITY
