"""The service `kubernetes`, by which pods reach the API."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from reconciler.apiserver.registry.errors import StatusError
from reconciler.client.protocol import Invalid
from reconciler.controllers.apiservice.loop import ApiServiceController
from reconciler.controllers.apiservice.plan import ApiAddress, Live, plan
from reconciler.controllers.endpointslicemirroring.loop import EndpointSliceMirroring
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.meta import ObjectMeta
from reconciler.model.service import Endpoints, Service
from tests.unit.controllers.world import World

HERE = ApiAddress("10.96.0.1", "10.244.0.1", 6443)


async def address() -> ApiAddress:
    return HERE


def is_whole(world: World) -> bool:
    try:
        service = world.registry.get(Service, "kubernetes", "default")
        endpoints = world.registry.get(Endpoints, "kubernetes", "default")
        slices = world.registry.list(EndpointSlice, "default")
    except StatusError:
        return False
    names = [each.metadata.name for each in slices]
    return names == ["kubernetes"] and not plan(Live(service, endpoints, slices[0]), HERE)


def test_the_service_is_made_and_mended(virtual: Any, clock: Any) -> None:
    async def scene() -> None:
        async with World(clock) as world:
            services, endpoints = world.informer(Service), world.informer(Endpoints)
            slices = world.informer(EndpointSlice)
            mirroring = EndpointSliceMirroring(
                world.client, services, endpoints, slices, world.events, clock
            )
            # as an older daemon left them: mirrored, under a name that was made up
            meta = ObjectMeta(name="kubernetes", namespace="default")
            await world.client.create(Endpoints(metadata=meta))
            part = ApiServiceController(
                world.client, services, endpoints, slices, address, random=Random(1)
            )
            world.start(mirroring.run)
            world.start(part.run)
            await world.until(lambda: is_whole(world))
            service = world.registry.get(Service, "kubernetes", "default")
            assert service.spec.cluster_ip == "10.96.0.1"
            await world.client.update(
                service.replace(spec=service.spec.replace(selector={"app": "thief"}))
            )
            await world.until(lambda: is_whole(world))
            await world.client.delete(Service, "kubernetes", "default")
            await world.until(lambda: is_whole(world))
            live = world.registry.get(Endpoints, "kubernetes", "default")
            await world.client.update(live.replace(subsets=()))
            await world.until(lambda: is_whole(world))
            part_of = world.registry.get(EndpointSlice, "kubernetes", "default")
            await world.client.update(part_of.replace(endpoints=()))
            await world.until(lambda: is_whole(world))
            await world.client.delete(EndpointSlice, "kubernetes", "default")
            await world.until(lambda: is_whole(world))

    virtual.run_until_complete(scene())


async def test_nobody_else_gets_the_address(clock: Any) -> None:
    async with World(clock) as world:
        meta = {"name": "thief", "namespace": "default"}
        spec = {"clusterIP": "10.96.0.1", "ports": ({"port": 1},)}
        thief = Service.model_validate({"metadata": meta, "spec": spec})
        for _ in range(2):
            with pytest.raises(Invalid, match="already allocated"):
                await world.client.create(thief)
            api = thief.replace(metadata=thief.metadata.replace(name="kubernetes"))
            await world.client.create(api)
            await world.client.delete(Service, "kubernetes", "default")
