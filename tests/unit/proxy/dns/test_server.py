"""The server on real sockets of the loopback, following a real registry."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.service import Service
from reconciler.proxy.dns.server import DnsServer, Limits, Sockets, open_sockets
from reconciler.proxy.dns.upstream import Limits as UpstreamLimits
from reconciler.proxy.dns.upstream import Resolvers, Upstream
from reconciler.proxy.dns.zone import Settings
from reconciler.store.memory import MemoryStore
from tests.unit.proxy.builders import make_service, make_slice

WEB = "web.shop.svc.cluster.local."


class HostResolver(asyncio.DatagramProtocol):
    """The host's resolver of the tests: one UDP socket, a function from query to answer."""

    def __init__(self, answer: Callable[[dns.message.Message], dns.message.Message | None]) -> None:
        self._answer = answer
        self.asked = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        answer = self._answer(dns.message.from_wire(data))
        if answer:
            self._transport.sendto(answer.to_wire(), addr)


def addresses(*texts: str, ttl: int = 60) -> Callable[[dns.message.Message], dns.message.Message]:
    def answer(query: dns.message.Message) -> dns.message.Message:
        made = dns.message.make_response(query)
        made.answer = [dns.rrset.from_text(query.question[0].name, ttl, "IN", "A", *texts)]
        return made

    return answer


class World:
    def __init__(self, upstream: Upstream) -> None:
        registry = Registry(MemoryStore(), SystemClock(), Ids())
        self.registry = registry
        self.client = LocalClient(registry)
        self.informers = (Informer(self.client, Service), Informer(self.client, EndpointSlice))
        self.port = 0
        self.server = DnsServer(
            *self.informers,
            Settings(),
            upstream=upstream,
            sockets=self._sockets,
            limits=Limits(idle=0.3, streams=3, forwards=2),
        )

    def _sockets(self) -> Sockets:
        opened = next(filter(None, (_free_port() for _ in range(100))))
        self.port = opened[0].getsockname()[1]
        return opened

    async def ask(self, name: str, kind: str = "A", *, tcp: bool = False) -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        exchange = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await exchange(query, "127.0.0.1", port=self.port, timeout=5)

    async def ready(self) -> None:
        async with asyncio.timeout(5):
            while True:
                answer = await self.ask("cluster.local.", "SOA")
                if answer.rcode() == dns.rcode.NOERROR:
                    return


def _free_port() -> Sockets | None:
    """Open a port that is free for both protocols; None when one drawn for UDP has a TCP user."""
    try:
        return open_sockets("127.0.0.1", 0)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return None


@asynccontextmanager
async def running(
    answer: Callable[[dns.message.Message], dns.message.Message | None] | None = None,
) -> AsyncIterator[tuple[World, HostResolver]]:
    loop = asyncio.get_running_loop()
    host = HostResolver(answer or addresses("192.0.2.1"))
    transport, _ = await loop.create_datagram_endpoint(lambda: host, local_addr=("127.0.0.1", 0))
    where = transport.get_extra_info("sockname")
    world = World(Upstream(lambda: (where,), UpstreamLimits(attempt=0.1)))
    await world.registry.start()
    await world.client.create(Namespace(metadata=ObjectMeta(name="shop")))
    tasks = [asyncio.create_task(part.run()) for part in (*world.informers, world.server)]
    await world.informers[0].synced.wait()
    try:
        await world.ready()
        yield world, host
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        transport.close()


def texts(message: dns.message.Message) -> list[str]:
    return sorted(rdata.to_text() for rrset in message.answer for rdata in rrset)


@pytest.mark.parametrize("tcp", [False, True])
async def test_names_follow_the_objects(tcp: bool) -> None:
    async with running() as (world, _):
        assert (await world.ask(WEB, tcp=tcp)).rcode() == dns.rcode.NXDOMAIN
        service = await world.client.create(make_service())
        await asyncio.sleep(0.02)
        assert texts(await world.ask(WEB, tcp=tcp)) == [service.spec.cluster_ip]
        await world.client.delete(Service, "web", "shop")
        await asyncio.sleep(0.02)
        assert (await world.ask(WEB, tcp=tcp)).rcode() == dns.rcode.NXDOMAIN


async def test_a_headless_service_is_right_soon_after_its_endpoints_change() -> None:
    async with running() as (world, _):
        await world.client.create(make_service(cluster_ip="None", cluster_ips=("None",)))
        made = await world.client.create(make_slice("10.244.0.6", version=""))
        await asyncio.sleep(0.05)
        assert texts(await world.ask(WEB)) == ["10.244.0.6"]
        moved = make_slice("10.244.0.7").replace(metadata=made.metadata)
        await world.client.update(moved)
        await asyncio.sleep(0.05)
        assert texts(await world.ask(WEB)) == ["10.244.0.7"]


@pytest.mark.parametrize("tcp", [False])
async def test_other_names_are_asked_once_and_remembered(tcp: bool) -> None:
    async with running() as (world, host):
        for _ in range(3):
            assert texts(await world.ask("example.org.", tcp=tcp)) == ["192.0.2.1"]
        assert host.asked == 1


async def test_an_answer_that_must_not_be_kept_is_asked_again() -> None:
    async with running(addresses("192.0.2.1", ttl=0)) as (world, host):
        await world.ask("example.org.")
        await world.ask("example.org.")
        assert host.asked == 2


async def test_a_silent_resolver_is_a_server_failure_and_others_are_answered_meanwhile() -> None:
    async with running(lambda _query: None) as (world, host):
        service = await world.client.create(make_service())
        slow = asyncio.create_task(world.ask("example.org."))
        await asyncio.sleep(0.02)
        assert texts(await world.ask(WEB)) == [service.spec.cluster_ip]
        assert (await slow).rcode() == dns.rcode.SERVFAIL
        assert host.asked == 3


async def test_too_many_forwards_are_refused_at_once() -> None:
    async with running(lambda _query: None) as (world, _):
        slow = [asyncio.create_task(world.ask(f"{n}.example.org.")) for n in range(2)]
        await asyncio.sleep(0.02)
        assert (await world.ask("third.example.org.")).rcode() == dns.rcode.SERVFAIL
        assert not any(task.done() for task in slow)
        await asyncio.gather(*slow)


async def test_a_forged_answer_is_not_believed() -> None:
    def forged(query: dns.message.Message) -> dns.message.Message:
        query.id ^= 1
        return addresses("203.0.113.66")(query)

    async with running(forged) as (world, _):
        assert (await world.ask("example.org.")).rcode() == dns.rcode.SERVFAIL


async def test_an_external_name_comes_with_its_addresses() -> None:
    async with running() as (world, _):
        alias = {"type": "ExternalName", "cluster_ip": "", "cluster_ips": (), "ports": ()}
        await world.client.create(make_service(**alias, external_name="example.org"))
        await asyncio.sleep(0.02)
        answer = await world.ask(WEB)
        assert texts(answer) == ["192.0.2.1", "example.org."]
        assert [rrset.name.to_text() for rrset in answer.answer] == [WEB, "example.org."]


async def test_an_external_name_may_stand_for_a_service_but_not_for_itself() -> None:
    async with running() as (world, _):
        alias = {"type": "ExternalName", "cluster_ip": "", "cluster_ips": (), "ports": ()}
        service = await world.client.create(make_service())
        await world.client.create(make_service("alias", **alias, external_name=WEB[:-1]))
        await world.client.create(
            make_service("ring", **alias, external_name="ring.shop.svc.cluster.local")
        )
        await asyncio.sleep(0.02)
        answer = await world.ask("alias.shop.svc.cluster.local.")
        assert texts(answer) == [service.spec.cluster_ip, WEB]
        ring = await world.ask("ring.shop.svc.cluster.local.")
        assert ring.rcode() == dns.rcode.SERVFAIL


async def test_a_long_answer_is_whole_over_tcp() -> None:
    async with running() as (world, _):
        await world.client.create(make_service(cluster_ip="None", cluster_ips=("None",)))
        await world.client.create(make_slice(*(f"10.244.0.{n}" for n in range(2, 200)), version=""))
        await asyncio.sleep(0.05)
        assert (await world.ask(WEB)).flags & dns.flags.TC
        assert len(texts(await world.ask(WEB, tcp=True))) == 198


async def test_idle_and_too_many_connections_are_closed() -> None:
    async with running() as (world, _):
        opened = [await asyncio.open_connection("127.0.0.1", world.port) for _ in range(4)]
        assert await asyncio.wait_for(opened[3][0].read(), 1) == b""
        for reader, _ in opened:
            assert await asyncio.wait_for(reader.read(), 2) == b""
        for _, writer in opened:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_garbage_ends_nothing() -> None:
    async with running() as (world, _):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for packet in (b"", b"x", b"\xff" * 600, bytes(12), bytes(64)):
                client.sendto(packet, ("127.0.0.1", world.port))
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"\x00\x03abc")
        assert await asyncio.wait_for(reader.read(), 1) == b""
        writer.close()
        assert (await world.ask("cluster.local.", "SOA")).rcode() == dns.rcode.NOERROR


def test_the_hosts_resolvers_are_read_again_when_they_change(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    resolvers = Resolvers("10.96.0.10", file)
    assert resolvers() == ()
    file.write_text("# none\nnameserver 192.0.2.53\nnameserver 10.96.0.10\nnameserver ::zz\n")
    assert resolvers() == (("192.0.2.53", 53),)
    file.unlink()
    assert resolvers() == ()
    file.write_text("search shop\nnameserver 2001:db8::53\n")
    assert resolvers() == (("2001:db8::53", 53),)
