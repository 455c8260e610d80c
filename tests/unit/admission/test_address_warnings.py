"""Addresses that are taken, with a warning in Go's words."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.admission.admit import admit
from reconciler.admission.warnings import warnings

SOON = "was accepted, but will be invalid in a future Kubernetes release"


def told(**spec: Any) -> list[str]:
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ports": [{"port": 80}], **spec},
    }
    return list(warnings(admit(manifest)))


def test_usual_addresses_deserve_none() -> None:
    ranges = ["10.0.0.0/8", "2001:db8::/32"]
    spec = {"type": "LoadBalancer", "loadBalancerSourceRanges": ranges}
    assert told(**spec, externalIPs=["192.0.2.1", "2001:db8::1"], loadBalancerIP="192.0.2.2") == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (" 1.2.3.0/24", 'ParseAddr(" 1.2.3.0"): unexpected character (at " 1.2.3.0")'),
        ("1.2.3.0/24 ", 'bad bits after slash: "24 "'),
        ("1.2.3.0/024", 'bad bits after slash: "024"'),
    ],
)
def test_ranges_that_netip_does_not_take(text: str, fault: str) -> None:
    found = told(type="LoadBalancer", loadBalancerSourceRanges=[text])
    path = "spec.loadBalancerSourceRanges[0]"
    assert found == [f'{path}: IP prefix {SOON}: netip.ParsePrefix("{text}"): {fault}']


def test_octets_with_leading_zeroes() -> None:
    fault = 'ParseAddr("192.0.2.01"): IPv4 field has octet with leading zero'
    found = told(externalIPs=["192.0.2.01"])
    assert found == [f"spec.externalIPs[0]: IP address {SOON}: {fault}"]


def test_ipv6_that_is_not_in_its_one_form() -> None:
    form = 'is not in RFC 5952 canonical format ("2001:db8::1")'
    loops = "which may cause controller apply-loops"
    found = told(externalIPs=["2001:DB8::1"])
    assert found == [f'spec.externalIPs[0]: IPv6 address "2001:DB8::1" {form}, {loops}']


def test_names_and_addresses_that_the_type_ignores() -> None:
    assert told(externalName="db.example.com") == [
        'spec.externalName is ignored when spec.type is not "ExternalName"'
    ]
