"""Which load balancer has which address, and that the registry is told."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.controllers.loadbalancer.loop import LoadBalancerController
from reconciler.controllers.loadbalancer.plan import Give, Ranges, Refuse, plan
from reconciler.controllers.loadbalancer.pool import parse_pool
from reconciler.core.clock import Clock
from reconciler.model.event import Event
from reconciler.model.meta import ObjectMeta
from reconciler.model.service import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
)
from tests.unit.controllers.world import World

RANGES = Ranges(parse_pool("192.168.1.8/30"), (IPv4Network("10.96.0.0/16"),))
NO_POOL = Ranges()


def service(name: str, *, has: str = "", port: int = 80, age: int = 0, **spec: Any) -> Service:
    ingress = (LoadBalancerIngress(ip=has),) if has else ()
    meta = ObjectMeta(name=name, namespace="default", uid=name,
                      creation_timestamp=f"2026-01-01T00:00:{59 - age:02}Z")  # fmt: skip
    ports = (ServicePort(port=port, protocol="TCP"),)
    return Service(
        metadata=meta,
        spec=ServiceSpec(**{"type": "LoadBalancer", "ports": ports, **spec}),
        status=ServiceStatus(load_balancer=LoadBalancerStatus(ingress=ingress)),
    )


def outcome(*services: Service, ranges: Ranges = RANGES) -> dict[str, str]:
    return {
        action.service.metadata.name: action.address
        if isinstance(action, Give)
        else f"refused: {action.reason}"
        for action in plan(services, ranges)
    }


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", []),
        ("192.168.1.8/30", ["192.168.1.9", "192.168.1.10"]),
        ("192.168.1.8/31", ["192.168.1.8", "192.168.1.9"]),
        ("10.0.0.5, 10.0.0.8 - 10.0.0.9", ["10.0.0.5", "10.0.0.8", "10.0.0.9"]),
    ],
)
def test_a_pool_gives_its_addresses_in_order(text: str, addresses: list[str]) -> None:
    pool = parse_pool(text)
    assert [str(address) for address in pool] == addresses
    assert all(address in pool for address in pool)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.9-10.0.0.5", "fd00::/64", "all"])
def test_a_pool_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_pool(f"192.168.1.1, {text}")


def test_the_pool_is_given_out_oldest_first() -> None:
    young, old = service("young"), service("old", age=9)
    assert outcome(young, old) == {"old": "192.168.1.9", "young": "192.168.1.10"}
    assert outcome(young, old, service("third", age=20))["young"] == (
        "refused: no address of load_balancer_pool is free"
    )


def test_an_address_is_kept_while_it_may_be() -> None:
    held = service("held", has="192.168.1.9")
    assert outcome(held, service("older", age=9)) == {"older": "192.168.1.10"}
    assert outcome(service("moved", has="203.0.113.5")) == {"moved": "192.168.1.9"}


def test_without_a_pool_only_a_named_address_is_had() -> None:
    actions = plan([service("held", has="192.168.1.9")], NO_POOL)
    assert [type(action) for action in actions] == [Give, Refuse]
    named = service("named", load_balancer_ip="203.0.113.5")
    assert outcome(named, ranges=NO_POOL) == {"named": "203.0.113.5"}


def test_a_named_address_is_out_of_the_pool() -> None:
    named = service("named", load_balancer_ip="192.168.1.9")
    assert outcome(named, service("pooled", age=9)) == {
        "named": "192.168.1.9",
        "pooled": "192.168.1.10",
    }


def test_a_named_address_is_shared_by_different_ports_alone() -> None:
    first = service("first", has="203.0.113.5", load_balancer_ip="203.0.113.5")
    other = service("other", port=81, load_balancer_ip="203.0.113.5")
    clash = service("clash", age=9, load_balancer_ip="203.0.113.5")
    assert outcome(first, other, clash) == {
        "other": "203.0.113.5",
        "clash": "refused: TCP port 80 of 203.0.113.5 is another service's already",
    }


@pytest.mark.parametrize("address", ["10.96.0.7", "127.0.0.1", "224.0.0.1", "x", "::1"])
def test_an_address_that_no_host_may_have_is_refused(address: str) -> None:
    assert outcome(service("web", load_balancer_ip=address))["web"].startswith("refused: ")


def test_what_is_no_load_balancer_of_ours_is_left_or_cleared() -> None:
    assert outcome(service("web", has="192.168.1.9", type="NodePort")) == {"web": ""}
    assert outcome(service("web", has="1.2.3.4", load_balancer_class="example.com/x")) == {}
    assert outcome(service("web", load_balancer_class="reconciler.dev/host")) != {}


SERVICES = st.lists(
    st.builds(
        service,
        st.sampled_from("abcdefgh"),
        has=st.sampled_from(["", "192.168.1.9", "192.168.1.10", "203.0.113.5"]),
        port=st.sampled_from([80, 81]),
        age=st.integers(0, 3),
        load_balancer_ip=st.sampled_from(["", "", "192.168.1.10", "203.0.113.5"]),
        type=st.sampled_from(["LoadBalancer", "LoadBalancer", "ClusterIP"]),
    ),
    unique_by=lambda each: each.metadata.name,
)


@given(SERVICES)
def test_the_second_plan_writes_nothing_and_no_port_is_had_twice(services: list[Service]) -> None:
    live = {each.metadata.name: each for each in services}
    for action in plan(services, RANGES):
        if isinstance(action, Give):
            status = action.service.status.replace(load_balancer=action.status)
            live[action.service.metadata.name] = action.service.replace(status=status)
    again = plan(reversed(live.values()), RANGES)
    assert not [action for action in again if isinstance(action, Give)]
    had = [
        (entry.ip, port.port)
        for each in live.values()
        for entry in each.status.load_balancer.ingress
        for port in each.spec.ports
    ]
    assert len(had) == len(set(had))


async def test_the_status_follows_the_service(virtual: None, clock: Clock) -> None:
    async with World(clock) as world:
        controller = LoadBalancerController(
            world.client, world.informer(Service), world.events, RANGES
        )
        world.start(controller.run)

        def shown(name: str) -> Service:
            return world.registry.get(Service, name, "default")

        def address(name: str) -> list[str]:
            return [entry.ip for entry in shown(name).status.load_balancer.ingress]

        for name in ("a", "b", "c"):
            ports = (ServicePort(port=80, protocol="TCP"),)
            spec = ServiceSpec(type="LoadBalancer", ports=ports)
            await world.client.create(
                Service(metadata=ObjectMeta(name=name, namespace="default"), spec=spec)
            )
        await world.until(lambda: world.reasons().count("SyncLoadBalancerFailed") == 1)
        without = next(name for name in "abc" if not address(name))
        (told,) = (e for e in world.registry.list(Event) if e.reason == "SyncLoadBalancerFailed")
        assert told.involved_object.name == without
        assert told.message.endswith("no address of load_balancer_pool is free")
        gone = next(name for name in "abc" if address(name))
        freed = address(gone)
        live = shown(gone)
        await world.client.update(live.replace(spec=live.spec.replace(type="NodePort")))
        await world.until(lambda: address(without) == freed and not address(gone))
        version = shown(without).metadata.resource_version
        await world.settle()
        assert shown(without).metadata.resource_version == version
