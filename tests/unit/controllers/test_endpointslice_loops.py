"""The slice loops on the real registry: soon after a pod's change, and never needlessly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from reconciler.controllers.endpointslice.loop import EndpointSliceController
from reconciler.controllers.endpointslice.plan import MANAGER
from reconciler.controllers.endpointslicemirroring.loop import EndpointSliceMirroring
from reconciler.controllers.endpointslicemirroring.plan import MANAGER as MIRROR
from reconciler.controllers.garbage.loop import GarbageCollector
from reconciler.model.endpointslice import MANAGED_BY, SERVICE_NAME, SKIP_MIRROR, EndpointSlice
from reconciler.model.event import Event
from reconciler.model.meta import ObjectMeta
from reconciler.model.node import ZONE, Node
from reconciler.model.pod import Pod
from reconciler.model.service import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Service,
)
from tests.unit.controllers.world import ObedientKubelet, ServiceWorld


class Net(ServiceWorld):
    async def begin(self, lag: float = 0.0) -> None:
        self.client.lag = lag
        self.kubelet = ObedientKubelet(self.client, self.informer(Pod), self.clock)
        services, slices = self.informer(Service), self.informer(EndpointSlice)
        endpoints = self.informer(Endpoints)
        self.start(
            EndpointSliceController(
                self.client, services, self.informer(Pod), slices, self.informer(Node), self.clock
            ).run
        )
        self.start(
            EndpointSliceMirroring(
                self.client, services, endpoints, slices, self.events, self.clock
            ).run
        )
        followed = {Service: services, EndpointSlice: slices, Endpoints: endpoints}
        self.start(GarbageCollector(self.client, followed).run)
        await self.settle(0.01 + 3 * lag)

    async def by_hand(self, count: int, **meta: Any) -> Endpoints:
        addresses = tuple(
            EndpointAddress(ip=f"192.0.{n // 250}.{n % 250 + 1}") for n in range(count)
        )
        ports = (EndpointPort(port=8080, protocol="TCP"),)
        return await self.client.create(
            Endpoints(
                metadata=ObjectMeta(name="web", namespace="default", **meta),
                subsets=(EndpointSubset(addresses=addresses, ports=ports),),
            )
        )

    def slices(self, manager: str = MANAGER) -> list[EndpointSlice]:
        every = self.registry.list(EndpointSlice)
        return [obj for obj in every if obj.metadata.labels[MANAGED_BY] == manager]

    def found(self, manager: str = MANAGER) -> dict[str, str]:
        """Say of each address how it fares: the letters of what is true."""
        return dict(_fare(self.slices(manager)))


def _fare(slices: list[EndpointSlice]) -> Iterator[tuple[str, str]]:
    for obj in slices:
        for endpoint in obj.endpoints:
            letters = zip(
                "rst", (endpoint.ready, endpoint.serving, endpoint.terminating), strict=True
            )
            yield endpoint.addresses[0], "".join(letter for letter, true in letters if true)


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


def test_endpoints_follow_the_pods(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        service = await world.service(app="web")
        await world.until(lambda: len(world.slices()) == 1)
        first = await world.pod("a", app="web")
        second = await world.pod("b", ready=False, app="web")
        a, b = first.status.pod_ip, second.status.pod_ip
        await world.until(lambda: world.found() == {a: "rs", b: ""}, 0.1)
        await world.kubelet.report(second, ready=True)
        await world.until(lambda: world.found() == {a: "rs", b: "rs"}, 0.1)
        await world.client.delete(Pod, "a", "default")  # it still runs: grace
        await world.until(lambda: world.found() == {a: "st", b: "rs"}, 0.1)
        await world.client.delete(Pod, "a", "default", grace_period_seconds=0)
        await world.until(lambda: world.found() == {b: "rs"}, 0.1)
        (obj,) = world.slices()
        assert obj.metadata.name.startswith("web-")
        assert obj.metadata.owner_references[0].uid == service.metadata.uid

    run(scenario)


def test_a_burst_of_pods_behind_a_lagging_watch_ends_right(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin(lag=0.05)
        await world.service(app="web")
        for number in range(20):
            await world.pod(f"p{number:02}", app="web")
        await world.until(lambda: len(world.found()) == 20, 60)
        await world.settle(60)
        assert len(world.slices()) == 1

    run(scenario)


def test_nothing_is_written_for_changes_that_cannot_be_seen(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service(app="web")
        pod = await world.pod("a", app="web")
        await world.until(lambda: world.found() == {pod.status.pod_ip: "rs"})
        live = world.registry.get(Pod, "a", "default")
        status = live.status.replace(message="busy")
        await world.client.update(live.replace(status=status), subresource="status")
        revision = world.registry.revision
        await world.settle(3000)
        assert world.registry.revision == revision

    run(scenario)


def test_the_zone_of_a_node_is_told_when_it_is_known(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service(app="web")
        await world.pod("a", app="web")
        await world.until(lambda: len(world.found()) == 1)
        meta = ObjectMeta(name="n1", labels={ZONE: "east"})
        await world.client.create(Node(metadata=meta))
        await world.until(lambda: world.slices()[0].endpoints[0].zone == "east", 0.1)

    run(scenario)


def test_a_foreign_change_is_put_right_and_foreign_slices_stay(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service(app="web")
        pod = await world.pod("a", app="web")
        wanted = {pod.status.pod_ip: "rs"}
        await world.until(lambda: world.found() == wanted)
        labels = {SERVICE_NAME: "web", MANAGED_BY: "me"}
        meta = ObjectMeta(name="mine", namespace="default", labels=labels)
        await world.client.create(EndpointSlice(metadata=meta, address_type="IPv4"))
        (obj,) = world.slices()
        await world.client.update(obj.replace(endpoints=()))
        await world.until(lambda: world.found() == wanted, 1)
        (obj,) = world.slices()
        await world.client.delete(EndpointSlice, obj.metadata.name, "default")
        await world.until(lambda: world.found() == wanted, 1)
        assert len(world.slices("me")) == 1

    run(scenario)


def test_slices_go_with_their_service(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service(app="web")
        await world.until(lambda: len(world.slices()) == 1)
        await world.client.delete(Service, "web", "default")
        await world.until(lambda: not world.slices(), 5)

    run(scenario)


def test_hand_made_endpoints_are_mirrored_while_their_service_selects_nothing(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        endpoints = await world.by_hand(1, labels={"a": "b"}, annotations={"c": "d"})
        await world.settle()
        assert not world.slices(MIRROR)  # there is no service
        service = await world.service()
        await world.until(lambda: world.found(MIRROR) == {"192.0.0.1": "rs"}, 0.1)
        (obj,) = world.slices(MIRROR)
        assert obj.metadata.labels == {"a": "b", SERVICE_NAME: "web", MANAGED_BY: MIRROR}
        assert obj.metadata.annotations == {"c": "d"}
        assert obj.metadata.owner_references[0].uid == endpoints.metadata.uid
        assert not world.slices()
        (subset,) = endpoints.subsets
        unready = EndpointSubset(not_ready_addresses=subset.addresses, ports=subset.ports)
        endpoints = await world.client.update(endpoints.replace(subsets=(unready,)))
        await world.until(lambda: world.found(MIRROR) == {"192.0.0.1": "s"}, 0.1)
        revision = world.registry.revision
        await world.settle(100)
        assert world.registry.revision == revision
        selecting = service.replace(spec=service.spec.replace(selector={"app": "web"}))
        await world.client.update(selecting)
        await world.until(lambda: not world.slices(MIRROR), 0.1)

    run(scenario)


@pytest.mark.parametrize("how", ["deleted", "told"])
def test_a_mirror_goes_with_its_endpoints_or_when_told(run: Run, how: str) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service()
        endpoints = await world.by_hand(3)
        await world.until(lambda: len(world.found(MIRROR)) == 3, 0.1)
        if how == "deleted":
            await world.client.delete(Endpoints, "web", "default")
        else:
            meta = endpoints.metadata.replace(labels={SKIP_MIRROR: "true"})
            await world.client.update(endpoints.replace(metadata=meta))
        await world.until(lambda: not world.slices(MIRROR), 0.1)

    run(scenario)


def test_more_than_a_thousand_addresses_are_cut_and_told(run: Run) -> None:
    async def scenario(world: Net) -> None:
        await world.begin()
        await world.service()
        await world.by_hand(1003)
        await world.until(lambda: len(world.found(MIRROR)) == 1000, 1)
        await world.until(lambda: world.reasons() == ["TooManyAddressesToMirror"], 1)
        (event,) = world.registry.list(Event)
        assert event.message.endswith("3 addresses were skipped")

    run(scenario)
