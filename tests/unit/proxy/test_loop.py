"""What the proxy's loop has the kernel do as services, endpoints, pods and nodes change."""

from __future__ import annotations

import asyncio

from reconciler.model.endpointslice import (
    MANAGED_BY,
    POD_SLICES,
    EndpointHints,
    EndpointSlice,
    ForZone,
)
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.node import ZONE, Node
from reconciler.model.pod import Pod
from reconciler.model.service import Service
from tests.unit.proxy.builders import make_balanced, make_endpoint, make_service, make_slice
from tests.unit.proxy.trace import Packet
from tests.unit.proxy.world import VirtualKernel, World, running, until


async def test_a_service_is_served_followed_and_forgotten() -> None:
    async with running() as world:
        kernel = world.kernel
        service = await world.client.create(make_service())
        address = service.spec.cluster_ip
        await until(lambda: kernel.table.maps.get("services"))
        assert kernel.backends(address) == {"reset"}
        endpoints = await world.client.create(make_slice("10.244.0.6", version=""))
        await until(lambda: kernel.backends(address) == {"10.244.0.6"})
        moved = make_slice("10.244.0.7", "10.244.0.8", version="")
        await world.client.update(moved.replace(metadata=endpoints.metadata))
        await until(lambda: kernel.backends(address) == {"10.244.0.7", "10.244.0.8"})
        await world.client.delete(Service, "web", "shop")
        await until(lambda: not kernel.table.maps["services"])
        assert kernel.replaced == 1


async def test_what_was_there_before_is_loaded_at_once() -> None:
    kernel = VirtualKernel()
    world = World(kernel)
    await world.registry.start()
    await world.client.create(Namespace(metadata=ObjectMeta(name="shop")))
    service = await world.client.create(make_service())
    await world.client.create(make_slice("10.244.0.6", version=""))
    tasks = [asyncio.create_task(part.run()) for part in world.parts]
    await until(lambda: kernel.replaced)
    assert kernel.backends(service.spec.cluster_ip) == {"10.244.0.6"}
    await until(lambda: tasks[-1].done() or kernel.replaced)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert kernel.applied == 0
    assert kernel.closed
    assert kernel.backends(service.spec.cluster_ip) == {"10.244.0.6"}


async def test_the_zone_of_the_node_chooses_among_hinted_endpoints() -> None:
    async with running() as world:
        await until(lambda: world.kernel.replaced)
        service = await world.client.create(make_service())
        address = service.spec.cluster_ip
        parts = zip(("10.244.0.6", "10.244.0.7"), ("east", "west"), strict=True)
        for part, (pod, zone) in enumerate(parts):
            hints = EndpointHints(for_zones=(ForZone(name=zone),))
            endpoint = make_endpoint(pod).replace(hints=hints)
            await world.client.create(make_slice(endpoint, part=part, version=""))
        await until(lambda: world.kernel.backends(address) == {"10.244.0.6", "10.244.0.7"})
        meta = ObjectMeta(name="node-a", labels={ZONE: "east"})
        node = await world.client.create(Node(metadata=meta))
        await until(lambda: world.kernel.backends(address) == {"10.244.0.6"})
        moved = node.metadata.replace(labels={ZONE: "west"})
        await world.client.update(node.replace(metadata=moved))
        await until(lambda: world.kernel.backends(address) == {"10.244.0.7"})


def following_pods(obj: EndpointSlice) -> EndpointSlice:
    """The slice as the controller writes it that follows the readiness of pods."""
    labels = {**obj.metadata.labels, MANAGED_BY: POD_SLICES}
    return obj.replace(metadata=obj.metadata.replace(labels=labels))


async def test_a_pod_that_lost_a_process_is_called_no_more_until_it_is_whole() -> None:
    async with running() as world:
        await until(lambda: world.kernel.replaced)
        service = await world.client.create(make_service())
        address, both = service.spec.cluster_ip, {"10.244.0.6", "10.244.0.7"}
        await world.client.create(following_pods(make_slice(*both, version="")))
        await until(lambda: world.kernel.backends(address) == both)
        slices = world.registry.list(EndpointSlice)
        world.casualties.lose("10.244.0.6")
        await until(lambda: world.kernel.backends(address) == {"10.244.0.7"})
        world.casualties.lose("10.244.0.7")
        await until(lambda: world.kernel.backends(address) == {"reset"})
        world.casualties.recover("10.244.0.6")
        await until(lambda: world.kernel.backends(address) == {"10.244.0.6"})
        world.casualties.recover("10.244.0.7")
        await until(lambda: world.kernel.backends(address) == both)
        assert world.registry.list(EndpointSlice) == slices, "a hint is no object"


async def test_a_service_that_wants_pods_that_are_not_ready_keeps_the_dead_ones() -> None:
    async with running() as world:
        await until(lambda: world.kernel.replaced)
        service = await world.client.create(make_service(publish_not_ready_addresses=True))
        await world.client.create(following_pods(make_slice("10.244.0.6", version="")))
        other = await world.client.create(make_service("other", cluster_ip="10.96.0.30"))
        await world.client.create(make_slice("10.244.0.6", name="other", version=""))
        third = await world.client.create(make_service("third", cluster_ip="10.96.0.31"))
        await world.client.create(
            following_pods(make_slice("10.244.0.6", name="third", version=""))
        )
        await until(lambda: world.kernel.backends(third.spec.cluster_ip) == {"10.244.0.6"})
        world.casualties.lose("10.244.0.6")
        await until(lambda: world.kernel.backends(third.spec.cluster_ip) == {"reset"})
        assert world.kernel.backends(service.spec.cluster_ip) == {"10.244.0.6"}
        assert world.kernel.backends(other.spec.cluster_ip) == {"10.244.0.6"}, "its writer decides"


async def test_the_endpoints_version_is_published_after_the_kernel_has_it() -> None:
    async with running() as world:
        await world.client.create(make_service())
        endpoints = await world.client.create(make_slice("10.244.0.6", version=""))
        version = int(endpoints.metadata.resource_version)
        await until(lambda: world.published() >= version)
        assert world.kernel.table.maps["endpoints-tcp"]


async def test_a_change_without_effect_on_the_kernel_is_published_too() -> None:
    async with running() as world:
        lone = await world.client.create(make_slice("10.244.0.6", version="", name="lone"))
        await until(lambda: world.published() >= int(lone.metadata.resource_version))
        assert world.kernel.applied == 0


async def test_nothing_is_sent_or_published_when_nothing_changes() -> None:
    async with running() as world:
        await world.client.create(make_service())
        endpoints = await world.client.create(make_slice("10.244.0.6", version=""))
        await until(lambda: world.published() >= int(endpoints.metadata.resource_version))
        revision, sent = world.registry.revision, world.kernel.applied
        await asyncio.sleep(0.2)  # four checks
        assert (world.registry.revision, world.kernel.applied) == (revision, sent)


async def test_clients_recorded_while_their_backend_left_are_forgotten_too() -> None:
    async with running() as world:
        kernel = world.kernel
        service = await world.client.create(make_service(session_affinity="ClientIP"))
        endpoints = await world.client.create(make_slice("10.244.0.6", "10.244.0.7", version=""))
        await until(lambda: len(kernel.table.maps.get("endpoints-tcp", ())) == 2)
        fewer = make_slice("10.244.0.7", version="")
        await world.client.update(fewer.replace(metadata=endpoints.metadata))
        key = f"{service.spec.cluster_ip} . tcp . 80"
        left = {key: frozenset({"10.244.0.7 . 8080"})}
        await until(lambda: kernel.forgotten.count(left) == 2)
        said = len(kernel.forgotten)
        checks = kernel.checked
        await until(lambda: kernel.checked > checks + 2)
        assert len(kernel.forgotten) == said


async def test_a_recreated_service_takes_its_place() -> None:
    async with running() as world:
        kernel = world.kernel
        old = await world.client.create(make_service())
        await world.client.create(make_slice("10.244.0.6", version=""))
        await until(lambda: kernel.table.maps.get("endpoints-tcp"))
        await world.client.delete(Service, "web", "shop")
        await world.client.create(make_service(cluster_ip="10.96.0.99"))
        await until(lambda: kernel.backends("10.96.0.99") == {"10.244.0.6"})
        assert kernel.backends(old.spec.cluster_ip) == {"reset"}


async def test_a_pods_host_port_is_served_while_it_runs() -> None:
    async with running() as world:
        kernel = world.kernel
        ports = [{"containerPort": 80, "hostPort": 8080}]
        pod = await world.client.create(
            Pod.model_validate(
                {
                    "metadata": {"name": "web", "namespace": "shop"},
                    "spec": {
                        "containers": [{"name": "c", "image": "web", "ports": ports}],
                        "nodeName": "node-a",
                    },
                },
                strict=False,
            )
        )
        status = pod.status.replace(pod_ip="10.244.0.6", phase="Running")
        await world.client.update(pod.replace(status=status), subresource="status")
        await until(lambda: kernel.table.maps.get("node-ports"))
        packet = Packet("192.168.1.77", "192.168.1.5", "tcp", 8080, enters="eth0")
        assert kernel.table.send(packet).packet.destination == "10.244.0.6"
        await world.client.delete(Pod, "web", "shop", grace_period_seconds=0)
        await until(lambda: not kernel.table.maps.get("node-ports"))


async def balance(world: World, service: Service, address: str) -> Service:
    status = make_balanced(address).status
    return await world.client.update(service.replace(status=status), subresource="status")


async def test_a_load_balancers_address_comes_and_goes_with_its_service() -> None:
    async with running() as world:
        kernel = world.kernel
        await until(lambda: kernel.replaced)
        assert kernel.addresses == set()  # what a crash left behind
        service = await world.client.create(make_service(type="LoadBalancer"))
        service = await balance(world, service, "198.51.100.9")
        await until(lambda: kernel.addresses == {"198.51.100.9"})
        assert kernel.backends("198.51.100.9") == {"reset"}
        assert set(kernel.table.maps["balanced"]) == {"198.51.100.9"}
        kernel.addresses.clear()  # the bridge was made anew
        await until(lambda: kernel.addresses == {"198.51.100.9"})
        service = await balance(world, service, "192.168.1.5")  # the host's own address
        await until(lambda: not kernel.addresses and not kernel.table.maps["balanced"])
        assert kernel.backends("192.168.1.5") == {"reset"}


async def test_an_address_that_cannot_be_had_yet_is_tried_again() -> None:
    kernel = VirtualKernel()
    kernel.without_bridge = 3
    async with running(kernel) as world:
        service = await world.client.create(make_service(type="LoadBalancer"))
        await balance(world, service, "198.51.100.9")
        await until(lambda: kernel.addresses == {"198.51.100.9"})
