"""Connections to pods that are gone, on the real registry and informers; the kernel is a list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from typing import Any

import pytest

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.podstatus import PodCondition
from reconciler.proxy.departures import Departures, Patience
from reconciler.proxy.ruleset import Pools
from reconciler.store.memory import MemoryStore


class Flows:
    """What was forgotten; refuses as often as it is told to."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []
        self.moved_on: list[str] = []
        self.known: frozenset[str] = frozenset()
        self.refusals = 0

    def forget_udp(self, pools: Pools) -> int:
        return 0

    def forget_backend(self, address: str, *, unanswered: bool = False) -> int:
        if self.refusals:
            self.refusals -= 1
            raise OSError("refused for the test")
        (self.moved_on if unanswered else self.forgotten).append(address)
        return 1

    def backends(self) -> frozenset[str]:
        return self.known

    def close(self) -> None: ...


class World:
    def __init__(self) -> None:
        self.flows = Flows()
        self.registry = Registry(MemoryStore(), SystemClock(), Ids())
        self.client = LocalClient(self.registry)
        self.pods = Informer(self.client, Pod)
        self.loop = Departures(
            self.pods,
            lambda: self.flows,
            IPv4Network("10.244.0.0/24"),
            patience=Patience(0.01, 0.05),
        )

    async def pod(
        self, name: str, address: str, phase: str = "Running", *, ready: bool = False, **spec: Any
    ) -> Pod:
        """Make or change a pod that runs with this address."""
        found = self.pods.get(name, "shop")
        if found is None:
            container = {"name": "main", "image": "web:1"}
            found = await self.client.create(
                Pod.model_validate_json(
                    json.dumps(
                        {
                            "metadata": {"name": name, "namespace": "shop"},
                            "spec": {"nodeName": "n", "containers": [container], **spec},
                        }
                    )
                )
            )
        conditions = (PodCondition(type="Ready", status=str(ready)),)
        status = found.status.replace(phase=phase, pod_ip=address, conditions=conditions)
        changed = await self.client.update(found.replace(status=status), subresource="status")
        await self.until(lambda: self.seen(changed))
        return changed

    def seen(self, pod: Pod) -> bool:
        held = self.pods.get(pod.metadata.name, "shop")
        return held is not None and held.status == pod.status

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - the informer has no event to wait for
                await asyncio.sleep(0.001)


@asynccontextmanager
async def running(*known: str) -> AsyncIterator[World]:
    world = World()
    world.flows.known = frozenset(known)
    await world.registry.start()
    await world.client.create(Namespace(metadata=ObjectMeta(name="shop")))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part.run()) for part in (world.loop, world.pods)]
        await world.pods.synced.wait()
        yield world
        for task in tasks:
            task.cancel()


async def test_a_new_sandbox_ends_what_went_to_the_old_one() -> None:
    async with running() as world:
        await world.pod("a", "10.244.0.5")
        await world.pod("a", "10.244.0.6")
        await world.until(lambda: world.flows.forgotten == ["10.244.0.5"])


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_ran_to_its_end_has_no_connections(phase: str) -> None:
    async with running() as world:
        await world.pod("a", "10.244.0.5")
        await world.pod("a", "10.244.0.5", phase)
        await world.until(lambda: world.flows.forgotten == ["10.244.0.5"])


async def test_the_end_of_a_pod_that_was_asked_to_end_ends_its_connections() -> None:
    async with running() as world:
        await world.pod("a", "10.244.0.5")
        await world.client.delete(Pod, "a", "shop")
        await world.until(lambda: world.pods.get("a", "shop").metadata.deletion_timestamp)
        assert world.flows.forgotten == []  # it drains
        await world.client.delete(Pod, "a", "shop", grace_period_seconds=0)
        await world.until(lambda: world.flows.forgotten == ["10.244.0.5"])


async def test_what_went_while_nobody_looked_is_found() -> None:
    async with running("10.244.0.6", "10.244.0.5", "10.244.0.1", "192.168.1.5") as world:
        await world.until(lambda: world.flows.forgotten == ["10.244.0.5", "10.244.0.6"])


async def test_a_pod_that_was_removed_by_force_may_still_answer_for_a_moment() -> None:
    async with running() as world:
        await world.pod("a", "10.244.0.5")
        await world.client.delete(Pod, "a", "shop", grace_period_seconds=0)
        await world.until(lambda: world.pods.get("a", "shop") is None)
        assert world.flows.forgotten == []
        await world.until(lambda: world.flows.forgotten == ["10.244.0.5"])


async def test_an_address_that_another_has_is_left_alone() -> None:
    async with running() as world:
        await world.pod("a", "10.244.0.5")
        await world.pod("host", "192.168.1.5", hostNetwork=True)
        await world.pod("b", "10.244.0.5")
        await world.pod("a", "10.244.0.6")
        await world.pod("host", "192.168.1.6")
        await world.pod("a", "10.244.0.7")
        await world.until(lambda: world.flows.forgotten == ["10.244.0.6"])


async def test_a_refusal_of_the_kernel_stops_nothing() -> None:
    async with running() as world:
        await world.pod("a", "10.244.0.5")
        world.flows.refusals = 1
        await world.pod("a", "10.244.0.6")
        await world.until(lambda: not world.flows.refusals)
        await world.pod("a", "10.244.0.7")
        await world.until(lambda: world.flows.forgotten == ["10.244.0.6"])


async def test_who_was_not_answered_moves_on_when_a_pod_leaves_its_services() -> None:
    async with running() as world:
        await world.pod("a", "10.244.0.5", ready=True)
        await world.pod("a", "10.244.0.5")
        await world.until(lambda: world.flows.moved_on == ["10.244.0.5"])
        await world.pod("b", "10.244.0.6", ready=True)
        await world.client.delete(Pod, "b", "shop")
        await world.until(lambda: world.flows.moved_on == ["10.244.0.5", "10.244.0.6"])
        assert world.flows.forgotten == []


async def test_a_pod_that_is_back_in_its_services_keeps_what_is_on_its_way_to_it() -> None:
    """An update in place: it left, and is ready again before the rules' time to let go is over."""
    async with running() as world:
        world.loop._patience = Patience(0.5, 0.5)
        await world.pod("web", "10.244.0.9", ready=True)
        await world.pod("web", "10.244.0.9", ready=False)
        await world.pod("web", "10.244.0.9", ready=True)
        await world.pod("other", "10.244.0.8", ready=True)
        await world.pod("other", "10.244.0.8", ready=False)
        await world.until(lambda: world.flows.moved_on)
        assert world.flows.moved_on == ["10.244.0.8"]
