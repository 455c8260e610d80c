"""The proxy's rules in the kernel of a test's network namespaces."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.service import Service, ServicePort
from reconciler.proxy.bridge import let_loopback_out
from reconciler.proxy.conntrack import Conntrack
from reconciler.proxy.rules import Node, compile_service
from reconciler.proxy.ruleset import Owner, RuleSet
from reconciler.proxy.skeleton import Network
from reconciler.proxy.table import Table, open_table
from tests.integration.netns import World, inside, world
from tests.unit.proxy.builders import NODE, make_node_port, make_slice

PORTS = (
    ServicePort(name="t", port=80, protocol="TCP", node_port=30001),
    ServicePort(name="u", port=80, protocol="UDP", node_port=30001),
)


class Kernel:
    """The table of the test's host, told about one service at a time."""

    def __init__(self, namespace: str) -> None:
        self.table: Table = inside(namespace, lambda: open_table(Network()))
        self.conntrack = inside(namespace, Conntrack)
        self.rules = RuleSet()
        self.table.replace(self.rules.everything())

    def put(self, service: Service, *slices: EndpointSlice, node: Node = NODE) -> None:
        owner = Owner("", "shop", service.metadata.name)
        self.rules.put(owner, compile_service(service, slices, node))
        change = self.rules.take()
        self.table.apply(change)
        self.table.forget_affinity(self.rules.sticky(change))
        self.conntrack.forget_udp(self.rules.pools(change))

    def web(self, *pods: int, **spec: Any) -> None:
        addresses = [f"10.244.0.{pod}" for pod in pods]
        self.put(
            make_node_port(ports=PORTS, **spec),
            make_slice(*addresses, port_name="t"),
            make_slice(*addresses, port_name="u", protocol="UDP"),
        )


def pod(net: World, number: int) -> str:
    return net.host.replace("host", f"p{number}")


def tcp_socket(namespace: str) -> socket.socket:
    """Return a socket that stays in the namespace."""
    return inside(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))


@contextmanager
def serving_world() -> Iterator[World]:
    """A world in which pods 6, 7 and 8, the host and somebody outside answer, and pod 9 calls."""
    with world() as made:
        for number in (6, 7, 8):
            made.serve(made.pod(number), f"pod-{number}")
        made.pod(9)
        made.serve(made.host, "host", 6443)
        made.serve(made.outside, "far")
        yield made


@contextmanager
def programmed(net: World) -> Iterator[Kernel]:
    """The table in the world's host, empty so far; removed at the end."""
    made = Kernel(net.host)
    inside(net.host, lambda: let_loopback_out("reconciler0"))
    with closing(made.table), closing(made.conntrack):
        yield made
        made.table.remove()
