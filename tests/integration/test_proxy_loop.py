"""The whole proxy on a kernel of its own: objects in the registry, connections in namespaces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from statistics import median

import pytest

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.gitops import ProxyState
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.service import Service
from reconciler.proxy.adapters import Host
from reconciler.proxy.balanced import BalancedAddresses
from reconciler.proxy.conntrack import Conntrack
from reconciler.proxy.loop import Proxy, Timing
from reconciler.proxy.nft import Nft
from reconciler.proxy.skeleton import Network
from reconciler.proxy.table import Table, open_table
from reconciler.store.memory import MemoryStore
from tests.integration.netns import HOST_ADDRESS, World, ask, inside, world
from tests.unit.proxy.builders import NODE, make_node_port, make_slice

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def net() -> Iterator[World]:
    with world() as made:
        for number in (6, 7):
            made.serve(made.pod(number), f"pod-{number}")
        made.pod(9)
        yield made


class Cluster:
    def __init__(self, net: World) -> None:
        self.net = net
        self.registry = Registry(MemoryStore(), SystemClock(), Ids())
        self.client = LocalClient(self.registry)
        informers = (
            Informer(self.client, Service),
            Informer(self.client, EndpointSlice),
            Informer(self.client, Pod),
        )
        host = Host(
            lambda network: _opened(net.host, network),
            lambda: inside(net.host, Conntrack),
            lambda: inside(net.host, BalancedAddresses),
        )
        proxy = Proxy(self.client, *informers, NODE, Network(), timing=Timing(check=0.1), host=host)
        self.parts = (*informers, proxy)

    async def start(self) -> None:
        await self.registry.start()
        await self.client.create(Namespace(metadata=ObjectMeta(name="shop")))
        await self.client.create(make_node_port())
        self.endpoints = await self.client.create(make_slice("10.244.0.6", version=""))

    async def move(self, *addresses: str) -> int:
        changed = make_slice(*addresses).replace(metadata=self.endpoints.metadata)
        self.endpoints = await self.client.update(changed)
        return int(self.endpoints.metadata.resource_version)

    async def answers(self, address: str, port: int) -> str:
        pod = self.net.host.replace("host", "p9")
        answer = await asyncio.to_thread(ask, pod, address, port)
        return answer if isinstance(answer, str) else answer[0]

    def published(self) -> int:
        states = self.registry.list(ProxyState)
        return int(states[0].status.endpoints_resource_version or 0) if states else 0


def _opened(namespace: str, network: Network) -> Table:
    return inside(namespace, lambda: open_table(network))


@asynccontextmanager
async def running(net: World) -> AsyncIterator[Cluster]:
    cluster = Cluster(net)
    await cluster.start()
    tasks = [asyncio.create_task(part.run()) for part in cluster.parts]
    try:
        await until(lambda: cluster.published() >= int(cluster.endpoints.metadata.resource_version))
        yield cluster
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is another task's write
            await asyncio.sleep(0.0002)


async def test_what_is_published_is_in_the_kernel(net: World) -> None:
    async with running(net) as cluster:
        address = cluster.registry.get(Service, "web", "shop").spec.cluster_ip
        for pod in (6, 7, 6, 7):
            version = await cluster.move(f"10.244.0.{pod}")
            await until(lambda version=version: cluster.published() >= version)
            assert await cluster.answers(address, 80) == f"pod-{pod}"
            assert await cluster.answers(HOST_ADDRESS, 30001) == f"pod-{pod}"


async def test_a_change_is_published_within_milliseconds(net: World) -> None:
    async with running(net) as cluster:
        waits = []
        for turn in range(30):
            version = await cluster.move(f"10.244.0.{6 + turn % 2}")
            started = time.perf_counter()
            await until(lambda version=version: cluster.published() >= version)
            waits.append(time.perf_counter() - started)
        assert median(waits) < 0.05


async def test_a_flush_is_mended_while_the_proxy_runs(net: World) -> None:
    async with running(net) as cluster:
        with inside(net.host, Nft) as other:
            other.run("flush ruleset")
            async with asyncio.timeout(5):
                while await cluster.answers(HOST_ADDRESS, 30001) != "pod-6":  # noqa: ASYNC110 - a poll
                    await asyncio.sleep(0.01)


async def test_the_rules_outlive_the_proxy_and_the_next_one_takes_them_over(net: World) -> None:
    async with running(net):
        pass
    cluster = Cluster(net)
    assert await cluster.answers(HOST_ADDRESS, 30001) == "pod-6"
    async with running(net) as successor:
        assert await successor.answers(HOST_ADDRESS, 30001) == "pod-6"
