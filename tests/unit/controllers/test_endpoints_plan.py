"""Whole Endpoints objects for small worlds."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from reconciler.controllers.endpoints.plan import CAPACITY, OVER_CAPACITY, plan, wants_endpoints
from reconciler.controllers.slices import HEADLESS
from reconciler.controllers.triggertime import TRIGGER_TIME
from reconciler.model.container import ContainerPort
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.service import Endpoints, Service, ServicePort, ServiceSpec
from tests.unit.controllers.builders import make_pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HTTP = (ContainerPort(name="http", container_port=8080, protocol="TCP"),)


def make_service(
    *ports: ServicePort,
    cluster_ip: str = "10.96.0.1",
    publish: bool = False,
    kind: str = "ClusterIP",
) -> Service:
    return Service(
        metadata=ObjectMeta(name="web", namespace="default", labels={"l": "1"}),
        spec=ServiceSpec(
            ports=ports,
            selector={"app": "web"},
            cluster_ip=cluster_ip,
            type=kind,
            publish_not_ready_addresses=publish,
        ),
    )


def port(name: str = "", number: int = 80, target: int | str = 8080) -> ServicePort:
    return ServicePort(name=name, port=number, target_port=target, protocol="TCP")


def planned(service: Service, *pods: Pod) -> Endpoints:
    result = plan(service, pods, None)
    assert result is not None
    return result


def where(endpoints: Endpoints) -> list[tuple[list[str], list[str], list[int]]]:
    return [
        (
            [a.ip for a in s.addresses],
            [a.ip for a in s.not_ready_addresses],
            [p.port for p in s.ports],
        )
        for s in endpoints.subsets
    ]


def test_the_whole_object() -> None:
    pods = [
        make_pod("b", ip="10.244.0.10", ready=NOW),
        make_pod("a", ip="10.244.0.9", ready=NOW),
        make_pod("c", ip="10.244.0.2"),
    ]
    assert planned(make_service(port("http")), *pods).to_dict() == {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "labels": {"l": "1"},
            "creationTimestamp": None,
        },
        "subsets": [
            {
                "addresses": [
                    {
                        "ip": ip,
                        "nodeName": "n1",
                        "targetRef": {
                            "kind": "Pod",
                            "namespace": "default",
                            "name": name,
                            "uid": f"uid-{name}",
                        },
                    }
                    for name, ip in [("a", "10.244.0.9"), ("b", "10.244.0.10")]
                ],
                "notReadyAddresses": [
                    {
                        "ip": "10.244.0.2",
                        "nodeName": "n1",
                        "targetRef": {
                            "kind": "Pod",
                            "namespace": "default",
                            "name": "c",
                            "uid": "uid-c",
                        },
                    }
                ],
                "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            }
        ],
    }


def test_equal_pods_in_any_order_write_nothing() -> None:
    pods = [make_pod(f"p{i}", ip=f"10.244.0.{i}", ready=NOW) for i in range(2, 30)]
    service = make_service(port())
    first = planned(service, *pods)
    random.Random(1).shuffle(pods)
    assert plan(service, pods, first) is None


def test_ended_deleted_and_addressless_pods_are_out() -> None:
    pods = [
        make_pod("failed", ip="10.244.0.2", phase="Failed"),
        make_pod("deleted", ip="10.244.0.3", ready=NOW, deleting=NOW),
        make_pod("young"),
    ]
    assert planned(make_service(port()), *pods).subsets == ()


def test_publish_not_ready_takes_the_unready_and_the_leaving() -> None:
    pods = [
        make_pod("unready", ip="10.244.0.2"),
        make_pod("deleted", ip="10.244.0.3", deleting=NOW),
        make_pod("failed", ip="10.244.0.4", phase="Failed"),
    ]
    service = make_service(port(), publish=True)
    assert where(planned(service, *pods)) == [(["10.244.0.2", "10.244.0.3"], [], [8080])]


def test_named_target_ports_are_resolved_for_each_pod() -> None:
    other = (ContainerPort(name="http", container_port=9090, protocol="TCP"),)
    udp = (ContainerPort(name="http", container_port=53, protocol="UDP"),)
    pods = [
        make_pod("a", ip="10.244.0.2", ready=NOW, ports=HTTP),
        make_pod("b", ip="10.244.0.3", ready=NOW, ports=other),
        make_pod("c", ip="10.244.0.4", ready=NOW, ports=udp),
        make_pod("d", ip="10.244.0.5", ports=HTTP),
    ]
    assert where(planned(make_service(port(target="http")), *pods)) == [
        (["10.244.0.2"], ["10.244.0.5"], [8080]),
        (["10.244.0.3"], [], [9090]),
    ]


def test_a_pod_may_serve_some_of_the_ports() -> None:
    pods = [
        make_pod("a", ip="10.244.0.2", ready=NOW, ports=HTTP),
        make_pod("b", ip="10.244.0.3", ready=NOW),
    ]
    service = make_service(port("x", 80, "http"), port("y", 81, 81))
    assert where(planned(service, *pods)) == [
        (["10.244.0.2", "10.244.0.3"], [], [81]),
        (["10.244.0.2"], [], [8080]),
    ]


def test_ports_that_the_same_pods_have_share_a_subset() -> None:
    other = (ContainerPort(name="http", container_port=9090, protocol="TCP"),)
    pods = [
        make_pod("a", ip="10.244.0.2", ready=NOW, ports=HTTP),
        make_pod("b", ip="10.244.0.3", ports=other),
        make_pod("c", ip="10.244.0.4", ready=NOW, ports=HTTP),
    ]
    service = make_service(port("x", 80, "http"), port("y", 81, 81), port("z", 82, 82))
    assert where(planned(service, *pods)) == [
        (["10.244.0.2", "10.244.0.4"], ["10.244.0.3"], [81, 82]),
        (["10.244.0.2", "10.244.0.4"], [], [8080]),
        ([], ["10.244.0.3"], [9090]),
    ]


def test_the_trigger_is_noted_in_what_is_written_and_is_no_change_itself() -> None:
    service, pod = make_service(port()), make_pod("a", ip="10.244.0.2", ready=NOW)
    first = plan(service, [pod], None, "2026-01-01T00:00:00Z")
    assert first is not None
    assert first.metadata.annotations == {TRIGGER_TIME: "2026-01-01T00:00:00Z"}
    assert plan(service, [pod], first, "2026-01-02T00:00:00Z") is None
    emptied = plan(service, [], first)
    assert emptied is not None
    assert emptied.metadata.annotations == {}


def test_headless_without_ports_and_with_host_names() -> None:
    pod = make_pod("a", ip="10.244.0.2", ready=NOW)
    named = pod.replace(spec=pod.spec.replace(hostname="h", subdomain="web"))
    elsewhere = make_pod("b", ip="10.244.0.3", ready=NOW)
    elsewhere = elsewhere.replace(spec=elsewhere.spec.replace(hostname="h", subdomain="db"))
    result = planned(make_service(cluster_ip="None"), named, elsewhere)
    assert result.metadata.labels == {"l": "1", HEADLESS: ""}
    assert [(a.ip, a.hostname) for a in result.subsets[0].addresses] == [
        ("10.244.0.2", "h"),
        ("10.244.0.3", ""),
    ]


def test_annotations_of_others_stay() -> None:
    service = make_service(port())
    current = planned(service)
    meta = current.metadata.replace(annotations={"x": "y", OVER_CAPACITY: "truncated"}, uid="u")
    result = plan(service, [], current.replace(metadata=meta))
    assert result is not None
    assert (result.metadata.annotations, result.metadata.uid) == ({"x": "y"}, "u")


@pytest.mark.parametrize(("ready", "unready"), [(CAPACITY + 5, 3), (900, 200), (0, 1500)])
def test_the_capacity_prefers_ready_addresses(ready: int, unready: int) -> None:
    pods = [
        make_pod(
            f"p{i}",
            ip=f"10.244.{i // 250}.{i % 250 + 1}",
            ready=NOW if i < ready else None,
        )
        for i in range(ready + unready)
    ]
    service = make_service(port("y", 81, 81))
    result = planned(service, *pods)
    kept_ready = sum(len(s.addresses) for s in result.subsets)
    kept_unready = sum(len(s.not_ready_addresses) for s in result.subsets)
    assert kept_ready == min(ready, CAPACITY)
    assert kept_unready == min(unready, CAPACITY - kept_ready)
    assert result.metadata.annotations == {OVER_CAPACITY: "truncated"}


def test_the_capacity_is_shared_by_subsets() -> None:
    pods = [
        make_pod(f"p{i}", ip=f"10.244.{i // 250}.{i % 250 + 1}", ready=NOW, ports=HTTP[: i % 2])
        for i in range(1200)
    ]
    service = make_service(port("x", 80, "http"), port("y", 81, 81))
    kept = [len(subset.addresses) for subset in planned(service, *pods).subsets]
    assert kept == [667, 333]  # of 1,200 at port 81 and 600 at port 8080


def test_services_that_bring_their_own_endpoints_are_left_alone() -> None:
    assert wants_endpoints(make_service(port()))
    assert not wants_endpoints(make_service(port(), kind="ExternalName"))
    bare = make_service(port())
    assert not wants_endpoints(bare.replace(spec=bare.spec.replace(selector={})))
