from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.pod import Pod
from reconciler.proxy.hostports import compile_pod, has_host_ports
from reconciler.proxy.rules import Element
from tests.unit.proxy.builders import NODE


def make_pod(*ports: dict[str, Any], status: dict[str, Any] | None = None, **spec: Any) -> Pod:
    containers = [{"name": "c", "image": "web", "ports": list(ports)}]
    return Pod.model_validate(
        {
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"containers": containers, "nodeName": "node-a", **spec},
            "status": {"podIP": "10.244.0.6", "phase": "Running", **(status or {})},
        },
        strict=False,
    )


def test_a_host_port_is_a_node_port_with_one_backend() -> None:
    assert compile_pod(make_pod({"containerPort": 80, "hostPort": 8080}), NODE) == (
        Element("node-ports", "tcp . 8080", "goto node-spread-tcp-1"),
        Element("node-endpoints-tcp", "tcp . 8080 . 0", "10.244.0.6 . 80"),
        Element("hairpin", "10.244.0.6 . 10.244.0.6"),
    )


def test_a_host_address_narrows_it() -> None:
    port = {"containerPort": 53, "hostPort": 53, "hostIP": "127.0.0.1", "protocol": "UDP"}
    assert compile_pod(make_pod(port), NODE)[:2] == (
        Element("services", "127.0.0.1 . udp . 53", "goto spread-udp-1"),
        Element("endpoints-udp", "127.0.0.1 . udp . 53 . 0", "10.244.0.6 . 53"),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"nodeName": "node-b"},
        {"hostNetwork": True},
        {"status": {"podIP": ""}},
        {"status": {"phase": "Succeeded"}},
        {"status": {"phase": "Failed"}},
    ],
)
def test_no_port_for_a_pod_that_cannot_serve_it(change: dict[str, Any]) -> None:
    assert compile_pod(make_pod({"containerPort": 80, "hostPort": 8080}, **change), NODE) == ()


def test_most_pods_ask_for_none() -> None:
    assert not has_host_ports(make_pod({"containerPort": 80}))
    assert compile_pod(make_pod({"containerPort": 80}), NODE) == ()
