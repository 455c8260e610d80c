"""What becomes of connections when the pods behind a service come and go, in a real kernel."""

from __future__ import annotations

import errno
import select
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.harness import wait_for
from tests.integration.netkernel import Kernel, pod, tcp_socket
from tests.integration.netns import HOST_ADDRESS, World, ask
from tests.unit.proxy.cases import CLUSTER

pytestmark = pytest.mark.integration


def from_everywhere(net: World) -> Iterator[tuple[str, str, int]]:
    """Yield (namespace, address, port) of every kind of call to a service."""
    for where in (pod(net, 9), net.host):
        yield where, CLUSTER, 80
    for where in (pod(net, 9), net.host, net.outside):
        yield where, HOST_ADDRESS, 30001
    yield net.host, "127.0.0.1", 30001


def test_a_client_that_nobody_answered_yet_meets_another_backend(
    net: World, kernel: Kernel
) -> None:
    mute = ("ip", "-n", net.pod(77), "route", "add", "blackhole", "10.244.0.9")
    subprocess.run(mute, check=True)
    kernel.web(77)
    with tcp_socket(pod(net, 9)) as client:
        client.setblocking(False)
        assert client.connect_ex((CLUSTER, 80)) == errno.EINPROGRESS
        kernel.web(6)
        forget = kernel.conntrack.forget_backend
        wait_for(lambda: forget("10.244.0.77", unanswered=True), "a flow to the mute pod")
        client.settimeout(5)
        assert select.select([], [client], [], 5)[1]
        assert client.recv(100) == b"pod-6 10.244.0.9"


@pytest.fixture(scope="module")
def deaf(net: World) -> tuple[int, int]:
    """Two addresses at which nobody listens."""
    where = net.pod(18)
    second = ("ip", "-n", where, "addr", "add", "10.244.0.19/24", "dev", "eth0")
    subprocess.run(second, check=True)
    return 18, 19


def test_a_client_that_a_dead_pod_refuses_asks_again_and_meets_another(
    net: World, kernel: Kernel, deaf: tuple[int, int]
) -> None:
    """Its TCP does so, a second later; by then the rules have let go of the dead pod."""
    for where, address, port in from_everywhere(net):
        kernel.web(*deaf)
        with tcp_socket(where) as client:
            client.setblocking(False)
            assert client.connect_ex((address, port)) == errno.EINPROGRESS
            kernel.web(6)
            assert select.select([], [client], [], 5)[1]
            client.settimeout(5)
            assert client.recv(100).startswith(b"pod-6 "), (where, address)


def test_a_client_that_two_dead_pods_refuse_meets_another_at_its_third_try(
    net: World, kernel: Kernel, deaf: tuple[int, int]
) -> None:
    kernel.web(*deaf)
    with tcp_socket(net.host) as client:
        client.setblocking(False)
        assert client.connect_ex((CLUSTER, 80)) == errno.EINPROGRESS
        assert not select.select([], [client], [], 1.8)[1]
        kernel.web(6)
        assert select.select([], [client], [], 5)[1]
        client.settimeout(5)
        assert client.recv(100).startswith(b"pod-6 ")


def test_clients_that_all_backends_refuse_hear_it_at_their_third_try_and_then_at_their_second(
    net: World, kernel: Kernel, deaf: tuple[int, int]
) -> None:
    def waits(way: tuple[str, str, int]) -> float:
        began = time.monotonic()
        assert ask(*way, wait=10) == "refused", way
        return time.monotonic() - began

    ways = tuple(from_everywhere(net))
    for pods, least, most in ((deaf[:1], 0.0, 0.9), (deaf, 1.6, 6.0), (deaf, 0.5, 1.6)):
        kernel.web(*pods)
        with ThreadPoolExecutor(len(ways)) as callers:
            for way, took in zip(ways, callers.map(waits, ways), strict=True):
                assert least <= took < most, way


@pytest.mark.parametrize("left", [(7,), ()])
def test_a_client_of_a_pod_that_is_gone_is_reset_when_it_speaks(
    net: World, kernel: Kernel, left: tuple[int, ...]
) -> None:
    """By another backend, which knows nothing of the connection, or by the rules."""
    number = 66 + len(left)
    with tcp_socket(net.pod(number)) as server, tcp_socket(pod(net, 9)) as client:
        server.bind(("", 8080))
        server.listen()
        kernel.web(number)
        client.settimeout(5)
        client.connect((CLUSTER, 80))
        kernel.web(*left)
        peer, _ = server.accept()
        with peer:
            client.send(b"drains")
            assert peer.recv(100) == b"drains"
            subprocess.run(("ip", "-n", net.host, "link", "del", f"v{number}"), check=True)
            assert kernel.conntrack.forget_backend(f"10.244.0.{number}", unanswered=True) == 0
            assert kernel.conntrack.forget_backend(f"10.244.0.{number}") == 1
            client.send(b"to nobody")
            with pytest.raises(ConnectionResetError):
                client.recv(100)
