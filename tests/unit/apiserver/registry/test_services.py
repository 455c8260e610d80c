"""Addresses and ports of services: given once, kept over a restart, given back."""

from ipaddress import IPv4Network
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.service import Service
from reconciler.store.memory import MemoryStore
from reconciler.store.sqlite import open_store
from tests.unit.apiserver.registry.refusal import refuses


def test_a_refused_service_gives_its_address_back(
    virtual: Any, registry: Registry, make: Any
) -> None:
    wanted = {"clusterIP": "10.96.3.3", "ports": [{"port": 80}]}
    bad = make("Service", "s", spec={**wanted, "sessionAffinity": "Sometimes"})
    assert refuses(virtual, registry.create(bad)).code == 422
    virtual.run_until_complete(registry.create(make("Service", "s", spec=wanted)))
    again = make("Service", "s", spec=wanted)
    assert refuses(virtual, registry.create(again)).code == 422  # the address is taken
    virtual.run_until_complete(registry.delete(Service, "s", "default"))
    virtual.run_until_complete(registry.create(make("Service", "t", spec=wanted)))


@pytest.mark.parametrize("bits", [27, 28, 29])
def test_every_address_of_a_range_is_given_but_its_ends_and_those_reserved(
    virtual: Any, clock: Any, make: Any, bits: int
) -> None:
    """Found by the simulation: of 16 addresses the broadcast address was given, and after a restart
    to another service again.
    """
    network = IPv4Network(f"10.0.0.0/{bits}")
    settings = RegistrySettings(str(network), ("10.0.0.5",), (30000, 30001))
    registry = Registry(MemoryStore(), clock, Ids(Random(1)), settings)
    virtual.run_until_complete(registry.start())

    def created(name: str) -> Any:
        return registry.create(make("Service", name, spec={"ports": [{"port": 80}]}))

    free = {str(each) for each in network.hosts()} - {"10.0.0.1", "10.0.0.5"}
    given = [virtual.run_until_complete(created(f"s{n}")).spec.cluster_ip for n in range(len(free))]
    assert sorted(given) == sorted(free)
    assert "range is full" in refuses(virtual, created("more")).message


def test_no_address_and_no_port_is_given_twice(virtual: Any, registry: Registry, make: Any) -> None:
    for number in range(300):
        spec = {"type": "NodePort", "ports": [{"port": 80}]}
        virtual.run_until_complete(registry.create(make("Service", f"s{number}", spec=spec)))
    services = registry.list(Service)
    assert len({service.spec.cluster_ip for service in services}) == 300
    assert len({service.spec.ports[0].node_port for service in services}) == 300
    assert "10.96.0.10" not in {service.spec.cluster_ip for service in services}


def test_one_node_port_serves_two_protocols(virtual: Any, registry: Registry, make: Any) -> None:
    ports = [{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}]
    made = virtual.run_until_complete(
        registry.create(make("Service", "dns", spec={"type": "NodePort", "ports": ports}))
    )
    assert made.spec.ports[0].node_port == made.spec.ports[1].node_port != 0


_LOCAL = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31999}


@pytest.mark.parametrize(
    ("had", "changes", "left"),
    [
        ({"externalIPs": ["192.0.2.7"]}, {"external_ips": ()}, ("", 0, False)),
        (_LOCAL, {"external_traffic_policy": "Cluster"}, ("Cluster", 0, True)),
        (_LOCAL, {"type": "NodePort"}, ("Local", 0, True)),
        (_LOCAL, {"type": "ClusterIP"}, ("", 0, False)),
        (_LOCAL, {"type": "ClusterIP", "external_ips": ("192.0.2.7",)}, ("Local", 0, False)),
    ],
)
def test_what_a_changed_service_has_no_use_for_is_dropped(
    virtual: Any, registry: Registry, make: Any, had: Any, changes: Any, left: Any
) -> None:
    made = make("Service", "s", spec={"ports": [{"port": 80}], **had})
    made = virtual.run_until_complete(registry.create(made))
    changed = made.replace(spec=made.spec.replace(**changes))
    spec = virtual.run_until_complete(registry.update(changed)).spec
    found = spec.external_traffic_policy, spec.health_check_node_port, bool(spec.ports[0].node_port)
    assert found == left
    free = {**_LOCAL, "ports": [{"port": 80}]}
    virtual.run_until_complete(registry.create(make("Service", "t", spec=free)))


def test_what_an_update_sets_that_the_service_has_no_use_for_is_refused(
    virtual: Any, registry: Registry, make: Any
) -> None:
    made = make("Service", "s", spec={"ports": [{"port": 80}], **_LOCAL})
    made = virtual.run_until_complete(registry.create(made))
    cluster = made.spec.replace(external_traffic_policy="Cluster", health_check_node_port=31998)
    error = refuses(virtual, registry.update(made.replace(spec=cluster)))
    assert "spec.healthCheckNodePort: Invalid value: 31998: may only be set" in error.message


async def test_a_restart_remembers_what_services_hold(tmp_path: Path, make: Any) -> None:
    wanted = {
        "clusterIP": "10.96.3.3",
        "type": "NodePort",
        "ports": [{"port": 1, "nodePort": 30123}],
    }
    for attempt in range(2):
        store = await open_store(tmp_path / "state.db")
        registry = Registry(store, SystemClock(), Ids())
        await registry.start()
        if not attempt:
            await registry.create(make("Service", "s", spec=wanted))
        else:
            for spec in (wanted, {**wanted, "clusterIP": ""}):
                with pytest.raises(StatusError, match="already allocated"):
                    await registry.create(make("Service", "t", spec=spec))
        await store.close()


def test_an_address_with_leading_zeroes_is_taken_as_what_it_means(
    virtual: Any, registry: Registry, make: Any
) -> None:
    async def scenario() -> None:
        padded = {"clusterIP": "010.96.3.03", "ports": [{"port": 80}]}
        await registry.create(make("Service", "first", spec=padded))
        plain = {"clusterIP": "10.96.3.3", "ports": [{"port": 80}]}
        with pytest.raises(StatusError, match="already allocated"):
            await registry.create(make("Service", "second", spec=plain))

    virtual.run_until_complete(scenario())
