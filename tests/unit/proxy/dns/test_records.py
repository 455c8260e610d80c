from __future__ import annotations

import socket

import dns.name
import pytest

from reconciler.model.service import ServicePort
from reconciler.proxy.dns.records import (
    AAAA,
    CNAME,
    PTR,
    SRV,
    A,
    reverse_name,
    service_records,
    wire_name,
)
from tests.unit.proxy.builders import make_endpoint, make_service, make_slice

WEB = "web.shop.svc.cluster.local"


def text(name: bytes) -> str:
    return dns.name.from_wire(name, 0)[0].to_text(omit_final_dot=True)


def readable(
    records: dict[bytes, dict[int, tuple[bytes, ...]]],
) -> dict[tuple[str, int], list[str]]:
    def show(kind: int, data: bytes) -> str:
        match kind:
            case 1:
                return socket.inet_ntoa(data)
            case 33:
                numbers = " ".join(
                    str(int.from_bytes(data[i : i + 2], "big")) for i in range(0, 6, 2)
                )
                return f"{numbers} {text(data[6:])}"
            case _:
                return text(data)

    return {
        (text(name), kind): [show(kind, value) for value in values]
        for name, sets in records.items()
        for kind, values in sets.items()
    }


def test_a_service_has_its_address_its_reverse_and_its_named_ports() -> None:
    service = make_service(ports=(ServicePort(name="http", port=80, protocol="TCP"),))
    assert readable(service_records(service, (), "cluster.local")) == {
        (WEB, A): ["10.96.0.20"],
        ("20.0.96.10.in-addr.arpa", PTR): [WEB],
        (f"_http._tcp.{WEB}", SRV): [f"0 100 80 {WEB}"],
    }


def test_a_headless_service_has_its_ready_endpoints() -> None:
    service = make_service(cluster_ip="None", cluster_ips=("None",))
    slices = [
        make_slice(
            make_endpoint("10.244.0.6").replace(hostname="redis-0"),
            make_endpoint("10.244.0.8", fares="s"),
            make_endpoint("10.244.0.9", fares="st"),
            port=6379,
            port_name="redis",
        ),
        make_slice("10.244.0.7", part=2, port=6379, port_name="redis"),
    ]
    assert readable(service_records(service, slices, "cluster.local")) == {
        (WEB, A): ["10.244.0.6", "10.244.0.7"],
        (f"redis-0.{WEB}", A): ["10.244.0.6"],
        (f"10-244-0-7.{WEB}", A): ["10.244.0.7"],
        ("6.0.244.10.in-addr.arpa", PTR): [f"redis-0.{WEB}"],
        ("7.0.244.10.in-addr.arpa", PTR): [f"10-244-0-7.{WEB}"],
        (f"_redis._tcp.{WEB}", SRV): [
            f"0 100 6379 redis-0.{WEB}",
            f"0 100 6379 10-244-0-7.{WEB}",
        ],
    }


def test_addresses_of_both_families_and_of_leading_zeroes_have_records() -> None:
    service = make_service(cluster_ip="None", cluster_ips=("None",))
    slices = [
        make_slice("10.244.0.06"),
        make_slice("2001:db8::6", family="IPv6", part=2),
        make_slice("web.example.com", family="FQDN", part=3),
    ]
    found = service_records(service, slices, "cluster.local")
    addresses = found[wire_name(WEB)]
    assert addresses == {
        A: (socket.inet_aton("10.244.0.6"),),
        AAAA: (socket.inet_pton(socket.AF_INET6, "2001:db8::6"),),
    }
    assert wire_name(f"2001-db8--6.{WEB}") in found


def test_a_headless_service_without_ready_endpoints_has_no_name() -> None:
    service = make_service(cluster_ip="None", cluster_ips=("None",))
    assert service_records(service, [make_slice()], "cluster.local") == {}
    assert service_records(service, (), "cluster.local") == {}


def test_an_external_name_is_an_alias() -> None:
    service = make_service(
        type="ExternalName", cluster_ip="", cluster_ips=(), external_name="Example.ORG"
    )
    found = service_records(service, (), "cluster.local")
    assert readable(found) == {(WEB, CNAME): ["example.org"]}


def test_an_external_name_that_dns_cannot_carry_has_no_record() -> None:
    service = make_service(
        type="ExternalName", cluster_ip="", cluster_ips=(), external_name="a" * 64 + ".org"
    )
    assert service_records(service, (), "cluster.local") == {}


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (wire_name("Web.Shop"), b"\x03web\x04shop\x00"),
        (reverse_name("10.1.2.3"), b"\x013\x012\x011\x0210\x07in-addr\x04arpa\x00"),
    ],
)
def test_names_are_lower_case_wire_form(made: bytes, wanted: bytes) -> None:
    assert made == wanted
