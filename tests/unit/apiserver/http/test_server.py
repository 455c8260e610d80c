"""The server on real sockets: TLS with its own CA, tokens, the Unix socket of root."""

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from reconciler.apiserver.http import listener
from reconciler.apiserver.http.podlistener import PodAccess, from_pods, is_closed_to_pods, pod_side
from reconciler.apiserver.http.server import (
    ApiServer,
    ApiSettings,
    ListenError,
    certificate_names,
    split_address,
)
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security.authority import Authority
from reconciler.apiserver.security.tokens import admin_token
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.store.memory import MemoryStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates made once: each takes a process of its own."""
    directory = tmp_path_factory.mktemp("pki") / "pki"
    Authority(directory).ensure(certificate_names("127.0.0.1", ()), datetime.now(UTC))
    return directory


@contextlib.asynccontextmanager
async def served(
    pki: Path, socket: Path, pods: PodAccess | None = None
) -> AsyncIterator[ApiServer]:
    registry = Registry(MemoryStore(), SystemClock(), Ids(Random(5)))
    await registry.start()
    settings = ApiSettings("127.0.0.1:0", socket, pki, pods=pods)
    server = ApiServer(registry, SystemClock(), settings)
    running = asyncio.create_task(server.run())
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield server
    finally:
        running.cancel()
        ready.cancel()
        await asyncio.gather(running, ready, return_exceptions=True)


async def get(
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str, token: str = ""
) -> tuple[int, bytes]:
    reader, writer = streams
    credentials = f"Authorization: Bearer {token}\r\n" if token else ""
    request = f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{credentials}\r\n"
    writer.write(request.encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return int(head.split()[1]), body


async def test_over_tls(pki: Path, tmp_path: Path) -> None:
    async with served(pki, tmp_path / "api.sock") as server:
        host, port = split_address(server.address)
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        token = admin_token(pki / "admin.token")
        for name, given, wanted in (
            ("localhost", token, 200),
            ("kubernetes.default.svc", token, 200),
            ("localhost", "wrong", 401),
            ("localhost", "", 403),
        ):
            streams = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
            code, _ = await get(streams, "/api/v1/nodes", given)
            assert code == wanted
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(host, port, ssl=context, server_hostname="other")


async def test_who_says_nothing_is_shut_out(
    pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_FIRST_BYTE_SECONDS", 0.05)
    async with served(pki, tmp_path / "api.sock") as server:
        reader, writer = await asyncio.open_connection(*split_address(server.address))
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_who_comes_to_a_full_house_is_turned_away(
    pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST", 2)
    async with served(pki, tmp_path / "api.sock") as server:
        address = split_address(server.address)
        inside = [await asyncio.open_connection(*address) for _ in range(2)]
        reader, writer = await asyncio.open_connection(*address)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        # A place that becomes free is another's.
        for _, leaving in (*inside, (reader, writer)):
            leaving.close()
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    streams = await asyncio.open_connection(
                        *address, ssl=context, server_hostname="localhost"
                    )
                    break
        assert (await get(streams, "/healthz"))[0] == 200


async def test_what_is_no_tls_ends_without_noise(
    pki: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(pki, tmp_path / "api.sock") as server:
        reader, writer = await asyncio.open_connection(*split_address(server.address))
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert caplog.records == []


@pytest.mark.skipif(os.geteuid() != 0, reason="the socket knows root alone")
async def test_over_the_unix_socket(pki: Path, tmp_path: Path) -> None:
    socket = tmp_path / "run" / "api.sock"
    async with served(pki, socket):
        assert socket.stat().st_mode & 0o777 == 0o600
        code, body = await get(await asyncio.open_unix_connection(socket), "/api/v1/namespaces")
        assert code == 200
        assert json.loads(body)["kind"] == "NamespaceList"
    assert not socket.exists()


async def test_an_address_in_use_is_told(pki: Path, tmp_path: Path) -> None:
    async with served(pki, tmp_path / "api.sock") as first:
        registry = Registry(MemoryStore(), SystemClock(), Ids(Random(5)))
        second = ApiServer(registry, SystemClock(), ApiSettings(first.address, None, pki))
        with pytest.raises(ListenError, match="cannot listen"):
            await second.run()


def test_certificates_are_made_once_and_renewed_in_time(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    names = ("localhost", "127.0.0.1")
    assert authority.ensure(names, NOW)
    ca = authority.ca_file.read_bytes()
    assert not authority.ensure(names, NOW + timedelta(days=300))
    assert authority.ensure((*names, "other"), NOW)
    assert authority.ensure((*names, "other"), NOW + timedelta(days=310))
    assert authority.ca_file.read_bytes() == ca
    assert authority.ensure(names, NOW + timedelta(days=3300))
    assert authority.ca_file.read_bytes() != ca
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "pki").iterdir()}
    assert modes == {0o600}
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700


def test_the_token_stays(tmp_path: Path) -> None:
    file = tmp_path / "pki" / "admin.token"
    token = admin_token(file)
    assert len(token) > 40
    assert admin_token(file) == token
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["6443", "localhost:6443", "1.2.3.4", "1.2.3.4:x", "::1:x"])
def test_where_not_to_listen(text: str) -> None:
    with pytest.raises(ListenError):
        split_address(text)


async def test_pods_come_in_at_the_address_of_their_bridge(pki: Path, tmp_path: Path) -> None:
    # 127.0.0.2 stands for the bridge, and the loopback range for the pods'.
    access = PodAccess("127.0.0.2", "127.0.0.0/8")
    async with served(pki, tmp_path / "api.sock", access) as server:
        host, port = await server.pod_address()
        assert (host, port) == ("127.0.0.2", split_address(server.address)[1])
        context = ssl.create_default_context(cafile=pki / "ca.crt")
        streams = await asyncio.open_connection(
            host, port, ssl=context, server_hostname="kubernetes.default.svc"
        )
        assert (await get(streams, "/healthz"))[0] == 200


class Arrived(asyncio.Transport):
    """A connection from an address."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 40000)})
        self.cut = False

    def abort(self) -> None:
        self.cut = True


@pytest.mark.parametrize(
    ("address", "cut"),
    [("10.244.0.7", False), ("127.0.0.1", False), ("10.244.1.7", True), ("192.0.2.7", True)],
)
def test_nobody_but_pods_and_this_host_comes_in_there(address: str, cut: bool) -> None:
    identify = from_pods(lambda _: None, PodAccess("10.244.0.1", "10.244.0.0/24"))
    arrived = Arrived(address)
    assert identify(arrived) is None
    assert arrived.cut is cut


@pytest.mark.parametrize(
    ("listen", "closed", "side"),
    [
        ("127.0.0.1", True, "10.244.0.1"),
        ("::1", True, "10.244.0.1"),
        ("::", True, "10.244.0.1"),
        ("0.0.0.0", False, "10.244.0.1"),  # noqa: S104 - nothing listens in this test
        ("192.0.2.7", False, "192.0.2.7"),
    ],
)
def test_where_pods_come_in(listen: str, closed: bool, side: str) -> None:
    assert is_closed_to_pods(listen) is closed
    assert pod_side(listen, PodAccess("10.244.0.1", "10.244.0.0/24")) == side
