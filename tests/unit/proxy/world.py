"""A world for the proxy's loop: the real registry and informers, and a virtual kernel."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.casualties import Casualties
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.gitops import ProxyState
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.service import Service
from reconciler.proxy import commands
from reconciler.proxy.adapters import Host
from reconciler.proxy.loop import Proxy, Timing
from reconciler.proxy.nft import NftError
from reconciler.proxy.rules import Element
from reconciler.proxy.ruleset import Pools, Transaction
from reconciler.proxy.skeleton import Network
from reconciler.store.memory import MemoryStore
from tests.unit.proxy.builders import NODE
from tests.unit.proxy.trace import Packet, Table


class VirtualKernel:
    """The virtual table behind the loop's protocol; counts and can refuse."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the loop's worker loads while the test sends
        self.table = Table()
        self.replaced = self.applied = self.checked = 0
        self.refusals = 0
        self.refusal: Exception = NftError("refused for the test")
        self.disturbed = False
        self.closed = False
        self.forgotten: list[Pools] = []
        self.addresses = {"198.51.100.200"}
        self.without_bridge = 0

    def replace(self, everything: Transaction) -> None:
        self._refuse()
        with self._lock:
            self.disturbed = False
            self.table.load(commands.fresh(Network(), everything))
            self.replaced += 1

    def apply(self, transaction: Transaction) -> None:
        self._refuse()
        with self._lock:
            self.table.load(commands.change(transaction))
            self.applied += 1

    def is_undisturbed(self) -> bool:
        self.checked += 1
        return not self.disturbed

    def matches(self, elements: set[Element]) -> bool:
        return {e.key for e in elements if e.map == "services"} == set(
            self.table.maps.get("services", ())
        )

    def forget_affinity(self, pools: Pools) -> None:
        self.forgotten.append(pools)

    def forget_udp(self, pools: Pools) -> int:
        return 0

    def keep_only(self, wanted: Iterable[str]) -> frozenset[str]:
        self.addresses &= set(wanted)
        return frozenset(wanted) - {"192.168.1.5"}

    def add(self, addresses: Iterable[str]) -> None:
        if self.without_bridge:
            self.without_bridge -= 1
            raise OSError("no bridge")
        self.addresses |= set(addresses)

    def close(self) -> None:
        self.closed = True

    def backends(self, address: str) -> set[str]:
        packet = Packet("10.244.0.9", address, "tcp", 80, enters="reconciler0")
        with self._lock:
            fates = [self.table.send(packet) for _ in range(40)]
        return {f.packet.destination if f.verdict == "accept" else f.verdict for f in fates}

    def _refuse(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise self.refusal


class World:
    def __init__(self, kernel: VirtualKernel) -> None:
        self.kernel = kernel
        self.registry = Registry(MemoryStore(), SystemClock(), Ids())
        self.client = LocalClient(self.registry)
        self.informers = (
            Informer(self.client, Service),
            Informer(self.client, EndpointSlice),
            Informer(self.client, Pod),
        )
        self.nodes = Informer(self.client, Node)
        self.proxy = Proxy(
            self.client,
            *self.informers,
            NODE,
            Network(),
            timing=Timing(check=0.05, retry=0.01),
            host=Host(lambda _network: kernel, lambda: kernel, lambda: kernel),
        )
        self.proxy.follow_zone(self.nodes)
        self.casualties = Casualties()
        self.proxy.heed(self.casualties)

    @property
    def parts(self) -> tuple[Informer[Any] | Proxy, ...]:
        return (*self.informers, self.nodes, self.proxy)

    def published(self) -> int:
        state = next(iter(self.registry.list(ProxyState)), None)
        return int(state.status.endpoints_resource_version or -1) if state else -1


@asynccontextmanager
async def running(kernel: VirtualKernel | None = None) -> AsyncIterator[World]:
    world = World(kernel or VirtualKernel())
    await world.registry.start()
    await world.client.create(Namespace(metadata=ObjectMeta(name="shop")))
    tasks = [asyncio.create_task(part.run()) for part in world.parts]
    try:
        yield world
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the virtual kernel has no event to wait for
            await asyncio.sleep(0.002)
