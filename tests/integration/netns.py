"""Network namespaces for tests: a host with a bridge of pods, and somebody outside.

    outside 192.168.77.2 ── eth0 192.168.77.1 host reconciler0 10.244.0.1 ── pods 10.244.0.x

Everything is reached by threads that enter a namespace; nothing of it touches the real host's
interfaces or rules, and `World.close` removes all of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

from reconciler.kubelet.bridge import quicken

R = TypeVar("R")

HOST_ADDRESS = "192.168.77.1"
OUTSIDE_ADDRESS = "192.168.77.2"
BRIDGE_ADDRESS = "10.244.0.1"
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def inside(namespace: str, function: Callable[[], R]) -> R:
    """Run `function` in a thread of its own inside the network namespace."""

    def enter() -> None:
        with Path(f"/run/netns/{namespace}").open() as handle:
            if _LIBC.setns(handle.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    with ThreadPoolExecutor(1, initializer=enter) as thread:
        return thread.submit(function).result()


class Server:
    """Answers each connection and UDP packet with its own name and the client's address."""

    def __init__(self, namespace: str, name: str, port: int) -> None:
        self.name = name
        self._stopping = False
        protocols = ("tcp", "udp", "sctp") if without_sctp() is None else ("tcp", "udp")
        self._sockets = {
            each: inside(namespace, partial(_listen, each, port)) for each in protocols
        }
        self._threads = [threading.Thread(target=self._serve, args=(each,)) for each in protocols]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()
        for listener in self._sockets.values():
            listener.close()

    def _serve(self, protocol: str) -> None:
        answer = self._packet if protocol == "udp" else self._stream
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                answer(self._sockets[protocol])

    def _stream(self, listener: socket.socket) -> None:
        connection, client = listener.accept()
        with connection:
            connection.sendall(f"{self.name} {client[0]}".encode())

    def _packet(self, listener: socket.socket) -> None:
        _, client = listener.recvfrom(64)
        listener.sendto(f"{self.name} {client[0]}".encode(), client)


class World:
    """The namespaces; names carry this process's id, so that runs do not meet."""

    def __init__(self) -> None:
        self._prefix = f"rt{os.getpid()}"
        self.host = f"{self._prefix}-host"
        self.outside = f"{self._prefix}-out"
        self._namespaces: list[str] = []
        self._servers: list[Server] = []
        self._make_host()

    def pod(self, number: int, *, hairpin: bool = True) -> str:
        """Make the pod 10.244.0.`number` and return its namespace."""
        name = self._namespace(f"{self._prefix}-p{number}")
        link = f"v{number}"
        _ip("-n", self.host, "link", "add", link, "type", "veth", "peer", "eth0", "netns", name)
        _ip("-n", self.host, "link", "set", link, "master", "reconciler0", "up")
        mode = "on" if hairpin else "off"
        _ip("-n", self.host, "link", "set", link, "type", "bridge_slave", "hairpin", mode)
        _ip("-n", name, "addr", "add", f"10.244.0.{number}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "route", "add", "default", "via", BRIDGE_ADDRESS)
        return name

    def serve(self, namespace: str, name: str, port: int = 8080) -> None:
        """Start a server in a namespace; it ends with the world."""
        self._servers.append(Server(namespace, name, port))

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for name in self._namespaces:
            _ip("netns", "del", name)

    def _make_host(self) -> None:
        self._namespace(self.host)
        self._namespace(self.outside)
        host, out = ("-n", self.host), ("-n", self.outside)
        _ip(*host, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", self.outside)
        _ip(*host, "addr", "add", f"{HOST_ADDRESS}/24", "dev", "eth0")
        _ip(*out, "addr", "add", f"{OUTSIDE_ADDRESS}/24", "dev", "eth0")
        _ip(*host, "link", "add", "reconciler0", "type", "bridge")
        for address in (f"{BRIDGE_ADDRESS}/24", "10.96.0.10/32"):
            _ip(*host, "addr", "add", address, "dev", "reconciler0")
        for where, link in ((host, "eth0"), (host, "reconciler0"), (out, "eth0")):
            _ip(*where, "link", "set", link, "up")
        _ip(*host, "route", "add", "10.96.0.0/16", "dev", "reconciler0", "src", BRIDGE_ADDRESS)
        inside(self.host, _set_switches)

    def _namespace(self, name: str) -> str:
        _ip("netns", "add", name)
        self._namespaces.append(name)
        _ip("-n", name, "link", "set", "lo", "up")
        return name


@contextmanager
def world() -> Iterator[World]:
    made = World()
    try:
        yield made
    finally:
        made.close()


def ask(
    namespace: str,
    address: str,
    port: int,
    *,
    protocol: str = "tcp",
    source: tuple[str, int] = ("", 0),
    wait: float = 3.0,
) -> tuple[str, str] | str:
    """Return (server, client address as the server saw it), or how the attempt failed."""
    return inside(namespace, lambda: _ask(address, port, protocol, source, wait))


def _ask(
    address: str, port: int, protocol: str, source: tuple[str, int], wait: float
) -> tuple[str, str] | str:
    with _socket(protocol) as client:
        client.settimeout(wait)
        client.bind(source)
        try:
            client.connect((address, port))
            if protocol == "udp":
                client.send(b"?")
            server, seen = client.recv(100).decode().split()
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silent"
        except OSError as error:
            return os.strerror(error.errno or 0)
    return server, seen


@cache
def without_sctp() -> str | None:
    """Return why this kernel has no SCTP; None when it has."""
    with contextlib.suppress(OSError):
        subprocess.run(("modprobe", "sctp"), check=False, capture_output=True)
    try:
        _socket("sctp").close()
    except OSError as error:
        return f"this kernel has no SCTP: {error}"
    return None


def _socket(protocol: str) -> socket.socket:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    number = socket.IPPROTO_SCTP if protocol == "sctp" else 0
    return socket.socket(socket.AF_INET, kind, number)


def _listen(protocol: str, port: int) -> socket.socket:
    server = _socket(protocol)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.settimeout(0.1)
    server.bind(("0.0.0.0", port))  # noqa: S104 - inside a namespace of the test's own
    if protocol != "udp":
        server.listen(64)
    return server


def _set_switches() -> None:
    switches = Path("/proc/sys/net")
    (switches / "ipv4/ip_forward").write_text("1")
    (switches / "bridge/bridge-nf-call-iptables").write_text("1")
    quicken("reconciler0")
    # a redirect to somebody outside uses up what the kernel grants him of other ICMP
    (switches / "ipv4/conf/eth0/send_redirects").write_text("0")


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True)
