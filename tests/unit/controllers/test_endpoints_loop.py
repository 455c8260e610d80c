"""The endpoints loop on the real registry: soon after a pod's change, and never needlessly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reconciler.client.protocol import NotFound
from reconciler.controllers.endpoints.loop import EndpointsController
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.service import (
    EndpointAddress,
    Endpoints,
    EndpointSubset,
    Service,
)
from tests.unit.controllers.world import ObedientKubelet, ServiceWorld


class Net(ServiceWorld):
    async def begin(self, lag: float = 0.0) -> None:
        self.client.lag = lag
        self.kubelet = ObedientKubelet(self.client, self.informer(Pod), self.clock)
        self.run_controller()
        await self.settle(0.01 + 3 * lag)

    def run_controller(self) -> None:
        loop = EndpointsController(
            self.client, self.informer(Service), self.informer(Pod), self.informer(Endpoints)
        )
        self.start(loop.run)

    def endpoints(self, name: str = "web") -> Endpoints | None:
        found = [e for e in self.registry.list(Endpoints) if e.metadata.name == name]
        return found[0] if found else None

    def addresses(self, name: str = "web") -> tuple[list[str], list[str]]:
        endpoints = self.endpoints(name)
        subsets = endpoints.subsets if endpoints is not None else ()
        ready = [a.ip for s in subsets for a in s.addresses]
        return ready, [a.ip for s in subsets for a in s.not_ready_addresses]


Scenario = Callable[[Net], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture
def run(virtual: Any, clock: Any) -> Run:
    def runner(scenario: Scenario) -> None:
        async def body() -> None:
            async with Net(clock) as world:
                await scenario(world)

        virtual.run_until_complete(body())

    return runner


def test_addresses_follow_the_pods(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service(app="web")
        await world.until(lambda: world.endpoints() is not None)
        first = await world.pod("a", app="web")
        second = await world.pod("b", app="web", ready=False)
        await world.pod("c", app="db")
        ips = [first.status.pod_ip, second.status.pod_ip]
        await world.until(lambda: world.addresses() == ([ips[0]], [ips[1]]), 0.1)

        await world.kubelet.report(second, ready=True)
        await world.until(lambda: world.addresses() == (ips, []), 0.1)

        await world.client.delete(Pod, "a", "default")  # it still runs: grace
        assert any(pod.metadata.name == "a" for pod in world.pods())
        await world.until(lambda: world.addresses() == ([ips[1]], []), 0.1)

        relabelled = world.registry.get(Pod, "b", "default")
        meta = relabelled.metadata.replace(labels={"app": "debug"})
        await world.client.update(relabelled.replace(metadata=meta))
        await world.until(lambda: world.addresses() == ([], []), 0.1)

    run(scenario)


def test_a_burst_of_pods_behind_a_lagging_watch_ends_right(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin(lag=0.05)
        await world.service(app="web")
        for number in range(20):
            await world.pod(f"p{number:02}", app="web")
        await world.until(lambda: len(world.addresses()[0]) == 20, 60)

    run(scenario)


def test_nothing_is_written_for_changes_that_cannot_be_seen(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service(app="web")
        pod = await world.pod("a", app="web")
        await world.until(lambda: world.addresses()[0] == [pod.status.pod_ip])
        live = world.registry.get(Pod, "a", "default")
        status = live.status.replace(message="busy")
        await world.client.update(live.replace(status=status), subresource="status")
        revision = world.registry.revision
        await world.settle(3000)
        assert world.registry.revision == revision

    run(scenario)


def test_they_go_with_their_service(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service(app="web")
        await world.until(lambda: world.endpoints() is not None)
        await world.client.delete(Service, "web", "default")
        await world.until(lambda: world.endpoints() is None, 1)

    run(scenario)


def test_leftovers_of_the_time_without_us_go_at_the_start(run: Run) -> None:
    async def scenario(world: Net) -> None:
        meta = ObjectMeta(name="web", namespace="default")
        await world.client.create(Endpoints(metadata=meta))
        await world.begin()
        await world.until(lambda: world.endpoints() is None, 1)

    run(scenario)


def test_endpoints_made_by_hand_stay(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        address = EndpointAddress(ip="192.0.2.1")
        by_hand = Endpoints(
            metadata=ObjectMeta(name="web", namespace="default"),
            subsets=(EndpointSubset(addresses=(address,)),),
        )
        await world.client.create(by_hand)  # before its service, which has no selector
        await world.settle()
        await world.service()
        await world.settle()
        assert world.addresses() == (["192.0.2.1"], [])

    run(scenario)


def test_a_foreign_change_is_put_right(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service(app="web")
        pod = await world.pod("a", app="web")
        wanted = ([pod.status.pod_ip], [])
        await world.until(lambda: world.addresses() == wanted)
        current = world.endpoints()
        assert current is not None
        await world.client.update(current.replace(subsets=()))
        await world.until(lambda: world.addresses() == wanted, 1)
        await world.client.delete(Endpoints, "web", "default")
        await world.until(lambda: world.addresses() == wanted, 1)
        with pytest.raises(NotFound):
            await world.client.get(Endpoints, "other", "default")

    run(scenario)


def test_what_was_written_and_deleted_unseen_is_written_again_after_the_next_list(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        informer = world.informer(Endpoints)
        informer._take = lambda _event: None  # every event is lost
        await world.service(app="web")
        await world.until(lambda: world.endpoints() is not None)
        await world.client.delete(Endpoints, "web", "default")
        await world.settle(1)
        assert world.endpoints() is None
        del informer._take
        await world.settle(601)
        assert world.endpoints() is not None

    run(scenario)
