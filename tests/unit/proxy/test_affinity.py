"""Which remembered clients are forgotten; the real kernel's encoding is met in the netns tests."""

from __future__ import annotations

import socket

import pytest

from reconciler.proxy.affinity import stale_clients

CLIENT, CLUSTER, HOST = "10.244.0.9", "10.96.0.20", "192.168.77.1"


def remembered(address: str, protocol: int, port: int, backend: str) -> tuple[bytes, bytes]:
    parts = socket.inet_aton(CLIENT), socket.inet_aton(address), bytes((protocol, 0, 0, 0))
    to = socket.inet_aton(backend) + (8080).to_bytes(2, "big") + bytes(2)
    return b"".join((*parts, port.to_bytes(2, "big"), bytes(2))), to


@pytest.mark.parametrize(
    ("address", "protocol", "port", "pools", "stale"),
    [
        (CLUSTER, 6, 80, {f"{CLUSTER} . tcp . 80": {"10.244.0.6 . 8080"}}, False),
        (CLUSTER, 6, 80, {f"{CLUSTER} . tcp . 80": {"10.244.0.7 . 8080"}}, True),
        (CLUSTER, 6, 80, {f"{CLUSTER} . tcp . 80": {"10.244.0.6 . 8081"}}, True),
        (CLUSTER, 6, 80, {f"{CLUSTER} . tcp . 80": set()}, True),
        (CLUSTER, 6, 80, {f"{CLUSTER} . udp . 80": set()}, False),
        (CLUSTER, 6, 80, {f"{CLUSTER} . tcp . 81": set()}, False),
        (CLUSTER, 6, 80, {"10.96.0.21 . tcp . 80": set()}, False),
        (HOST, 17, 30001, {"udp . 30001": {"10.244.0.7 . 8080"}}, True),
        (HOST, 17, 30001, {"udp . 30001": {"10.244.0.6 . 8080"}}, False),
        (HOST, 6, 30001, {"udp . 30001": set()}, False),
        # an external address of this port is a frontend of its own
        (HOST, 6, 80, {"tcp . 80": set(), f"{HOST} . tcp . 80": {"10.244.0.6 . 8080"}}, False),
    ],
)
def test_a_client_is_forgotten_whose_backend_its_frontend_has_no_more(
    address: str, protocol: int, port: int, pools: dict[str, set[str]], stale: bool
) -> None:
    element = remembered(address, protocol, port, "10.244.0.6")
    name = {6: "tcp", 17: "udp"}[protocol]
    found = stale_clients([element], {key: frozenset(pool) for key, pool in pools.items()})
    assert found == ([f"{CLIENT} . {address} . {name} . {port}"] if stale else [])
