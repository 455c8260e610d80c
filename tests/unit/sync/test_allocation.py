"""Services that name what they cannot have reject their revision whole."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.meta import KubeObject
from reconciler.sync.allocation import ServiceRanges
from reconciler.sync.plan import Plan, plan
from tests.unit.sync.world import desired, manifest, service, settings, situation, stored

RANGES = ServiceRanges.of("10.96.0.0/16", (30000, 32767), "10.96.0.10")
WEB = manifest("Namespace", "web", namespace="")


def at(name: str, address: str) -> dict[str, Any]:
    return manifest("Service", name, spec={"clusterIP": address, "ports": [{"port": 80}]})


def planned(*declared: dict[str, Any], live: tuple[KubeObject, ...] = ()) -> Plan:
    return plan(situation(desired(WEB, *declared), stored(WEB), *live, ranges=RANGES))


def refusals(*declared: dict[str, Any], live: tuple[KubeObject, ...] = ()) -> list[str]:
    found = planned(*declared, live=live)
    assert not found.actions
    return [f"{each.key.name} {each.path}: {each.message}" for each in found.refusals if each.key]


INVALID = "Invalid value: "
TAKEN = "provided port is already allocated"


def address_refused(address: str, why: str) -> str:
    return f'{INVALID}[]string{{"{address}"}}: failed to allocate IP {address}: {why}'


PORTS = "provided port is not in the valid range. The range of valid ports is 30000-32767"
ADDRESSES = "is not in the valid range. The range of valid IPs is 10.96.0.0/16"
TAKEN_IP = "provided IP is already allocated"


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (service("a", 80), f"a spec.ports[0].nodePort: {INVALID}80: {PORTS}"),
        (
            at("a", "10.200.0.1"),
            "a spec.clusterIP: "
            + address_refused("10.200.0.1", f"the provided IP (10.200.0.1) {ADDRESSES}"),
        ),
        (at("a", "10.96.0.10"), f"a spec.clusterIP: {address_refused('10.96.0.10', TAKEN_IP)}"),
    ],
)
def test_what_is_not_of_the_range_rejects_the_revision(declared: dict[str, Any], why: str) -> None:
    assert refusals(settings("first"), declared) == [why]


def test_of_two_that_name_one_port_the_second_is_refused() -> None:
    found = refusals(service("b", 30001), service("a", 30001))
    assert found == [f"a spec.ports[0].nodePort: {INVALID}30001: {TAKEN} (by Service web/b)"]


def test_who_has_an_address_keeps_it() -> None:
    mine, others = stored(at("b", "10.96.3.3")), stored(at("x", "10.96.4.4"), source="")
    asked = (at("a", "10.96.3.3"), at("b", "10.96.3.3"), at("c", "10.096.4.4"))
    assert refusals(*asked, live=(mine, others)) == [
        f"a spec.clusterIP: {address_refused('10.96.3.3', TAKEN_IP)} (by Service web/b)",
        f"c spec.clusterIP: {address_refused('10.96.4.4', TAKEN_IP)} (by Service web/x)",
    ]


def test_what_a_service_was_given_stays_its_own_while_it_leaves_that_open() -> None:
    given = stored(service("b", 30001))
    ports = [{"port": 80, "targetPort": 80}]
    silent = manifest("Service", "b", spec={"type": "NodePort", "ports": ports})
    assert len(refusals(service("a", 30001), silent, live=(given,))) == 1
    assert not planned(service("a", 30001), service("b", 30002), live=(given,)).refusals


def test_what_is_had_already_is_not_asked_for() -> None:
    old = stored(service("a", 80))  # given when the range was another
    assert not planned(service("a", 80) | {"metadata": {"name": "a", "namespace": "web",
                       "labels": {"new": "1"}}}, live=(old,)).refusals  # fmt: skip


def test_what_goes_makes_room() -> None:
    going = stored(service("old", 30001))
    meta = going.metadata.replace(deletion_timestamp="2026-01-01T00:00:00Z")
    for live in (going, stored(service("x", 30001), source="").replace(metadata=meta)):
        assert not planned(service("new", 30001), live=(live,)).refusals


def test_two_protocols_of_a_service_share_a_port() -> None:
    ports = [{"port": 53, "protocol": each, "nodePort": 30053, "name": each.lower()}
             for each in ("TCP", "UDP")]  # fmt: skip
    both = manifest("Service", "dns", spec={"type": "NodePort", "ports": ports})
    assert not planned(both).refusals
