"""EndpointSlices: what they are given and what they may not say, in Kubernetes' words."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.admission.admit import admit
from reconciler.admission.errors import Refused
from reconciler.admission.validate import validate_update
from reconciler.model.endpointslice import EndpointSlice

Json = dict[str, Any]
POD = {"addresses": ["10.244.0.6"]}
FIRST = "endpoints[0].addresses[0]"
LOOPBACK = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
SEGMENTS = "should be a domain with at least two segments separated by dots"


def manifest(**members: Any) -> Json:
    head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice"}
    told = {"addressType": "IPv4", "endpoints": [POD], **members}
    return {**head, "metadata": {"name": "web-1", "namespace": "shop"}, **told}


def refusals(**members: Any) -> list[str]:
    with pytest.raises(Refused) as refused:
        admit(manifest(**members))
    return [str(error) for error in refused.value.errors]


def test_a_port_gets_an_empty_name_and_a_protocol() -> None:
    admitted = admit(manifest(ports=[{"port": 80}, {"name": "all", "protocol": "UDP"}]))
    assert admitted.to_dict()["ports"] == [
        {"name": "", "protocol": "TCP", "port": 80},
        {"name": "all", "protocol": "UDP"},
    ]
    assert admit(admitted.to_dict()) == admitted


def test_conditions_that_nobody_set() -> None:
    admitted = admit(manifest(endpoints=[POD, {**POD, "conditions": {"ready": False}}]))
    assert isinstance(admitted, EndpointSlice)
    first, second = admitted.endpoints
    assert (first.ready, first.serving, first.terminating) == (True, True, False)
    assert (second.ready, second.serving, second.terminating) == (False, True, False)
    assert first.to_dict() == {"addresses": ["10.244.0.6"], "conditions": {}}


@pytest.mark.parametrize(
    ("members", "refused"),
    [
        ({"addressType": ""}, "addressType: Required value"),
        (
            {"addressType": "IPX"},
            'addressType: Unsupported value: "IPX": supported values: "FQDN", "IPv4", "IPv6"',
        ),
        (
            {"endpoints": [{"addresses": []}]},
            "endpoints[0].addresses: Required value: must contain at least 1 address",
        ),
        (
            {"endpoints": [{"addresses": ["10.244.0.6"] * 101}]},
            "endpoints[0].addresses: Too many: 101: must have at most 100 items",
        ),
        (
            {"endpoints": [POD] * 1001},
            "endpoints: Too many: 1001: must have at most 1000 items",
        ),
        (
            {"endpoints": [{"addresses": ["fd00::1"]}]},
            'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address',
        ),
        (
            {"endpoints": [{"addresses": ["127.0.0.1"]}]},
            f'{FIRST}: Invalid value: "127.0.0.1": {LOOPBACK}',
        ),
        (
            {"addressType": "FQDN", "endpoints": [{"addresses": ["web"]}]},
            f'{FIRST}: Invalid value: "web": {SEGMENTS}',
        ),
        (
            {"endpoints": [{**POD, "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}}]},
            'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
        ),
        ({"ports": [{"port": 1}, {"port": 2}]}, 'ports[1].name: Duplicate value: ""'),
        (
            {"ports": [{"protocol": "ICMP"}]},
            'ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
        ),
        (
            {"ports": [{"port": 0}]},
            "ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
    ],
)
def test_refusals(members: Json, refused: str) -> None:
    assert refusals(**members) == [refused]


def test_an_address_of_nothing_is_told_twice_as_kubernetes_does() -> None:
    assert refusals(endpoints=[{"addresses": ["pod"]}]) == [
        'endpoints[0].addresses[0]: Invalid value: "pod": must be a valid IPv4 address',
        'endpoints[0].addresses[0]: Invalid value: "pod": must be a valid IP address',
    ]


def test_what_the_addresses_are_never_changes() -> None:
    old = admit(manifest())
    new = admit(manifest(addressType="FQDN", endpoints=[{"addresses": ["db.example.com"]}]))
    found = [str(error) for error in validate_update(new, old)]
    assert found == ['addressType: Invalid value: "FQDN": field is immutable']
