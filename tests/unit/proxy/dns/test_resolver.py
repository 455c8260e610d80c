"""Answers from the zone, read back by the DNS library."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.reversename
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.service import Service, ServicePort
from reconciler.proxy.dns.records import service_records
from reconciler.proxy.dns.resolver import Follow, Forward, Resolver
from reconciler.proxy.dns.zone import Settings, Zone
from tests.unit.proxy.builders import make_service, make_slice

WEB = "web.shop.svc.cluster.local."


def make_resolver(*services: tuple[Service, Sequence[EndpointSlice]]) -> Resolver:
    zone = Zone(Settings())
    for number, (service, slices) in enumerate(services):
        zone.put(("shop", str(number)), service_records(service, slices, "cluster.local"))
    resolver = Resolver(zone)
    resolver.ready = True
    return resolver


HEADLESS = make_service("db", cluster_ip="None", cluster_ips=("None",))
PODS = [make_slice("10.244.0.6", "10.244.0.7", name="db", port_name="pg", port=5432)]
ALIAS = make_service(
    "far", type="ExternalName", cluster_ip="", cluster_ips=(), external_name="example.org"
)
NAMED = make_service(ports=(ServicePort(name="http", port=80, protocol="TCP"),))
RESOLVER = make_resolver((NAMED, ()), (HEADLESS, PODS), (ALIAS, ()))


def ask(
    name: str, kind: str = "A", *, stream: bool = False, **options: object
) -> dns.message.Message:
    query = dns.message.make_query(name, kind, **options)
    answer = RESOLVER.decide(query.to_wire(), stream=stream)
    assert isinstance(answer, bytes), answer
    message = dns.message.from_wire(answer)
    assert query.is_response(message)
    return message


def records(message: dns.message.Message) -> list[str]:
    return sorted(f"{kind_name(rrset)} {rdata}" for rrset in message.answer for rdata in rrset)


def kind_name(rrset: object) -> str:
    return dns.rdatatype.to_text(rrset.rdtype)


def test_a_service_has_an_authoritative_address() -> None:
    answer = ask(WEB)
    assert records(answer) == ["A 10.96.0.20"]
    assert answer.answer[0].ttl == 5
    assert answer.flags == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA
    assert not answer.authority


def test_names_are_found_whatever_their_case_and_given_back_as_asked() -> None:
    answer = ask("WeB.shop.SVC.cluster.LOCAL.")
    assert records(answer) == ["A 10.96.0.20"]
    assert b"\x03WeB" in answer.to_wire()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (WEB, "AAAA"),
        (WEB, "TXT"),
        ("shop.svc.cluster.local.", "A"),
        ("svc.cluster.local.", "A"),
        ("pod.cluster.local.", "A"),
        ("_tcp." + WEB, "A"),
    ],
)
def test_a_name_without_such_records_is_no_data(name: str, kind: str) -> None:
    answer = ask(name, kind)
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert "SOA" in answer.authority[0].to_text()
    assert answer.authority[0].name.to_text() == "cluster.local."


@pytest.mark.parametrize(
    "name",
    [
        "none.shop.svc.cluster.local.",
        "web.other.svc.cluster.local.",
        "web.svc.cluster.local.",
        "x." + WEB,
        "99.0.96.10.in-addr.arpa.",
    ],
)
def test_an_unknown_name_of_ours_does_not_exist(name: str) -> None:
    answer = ask(name)
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert "SOA" in answer.authority[0].to_text()


def test_headless_srv_and_reverse_answers() -> None:
    assert records(ask("db.shop.svc.cluster.local.")) == ["A 10.244.0.6", "A 10.244.0.7"]
    srv = ask("_pg._tcp.db.shop.svc.cluster.local.", "SRV")
    assert records(srv) == [
        "SRV 0 100 5432 10-244-0-6.db.shop.svc.cluster.local.",
        "SRV 0 100 5432 10-244-0-7.db.shop.svc.cluster.local.",
    ]
    assert {rdata.to_text() for rrset in srv.additional for rdata in rrset} == {
        "10.244.0.6",
        "10.244.0.7",
    }
    assert records(ask("20.0.96.10.in-addr.arpa.", "PTR")) == [f"PTR {WEB}"]
    assert records(ask("_http._tcp." + WEB, "SRV")) == [f"SRV 0 100 80 {WEB}"]


def test_addresses_outside_the_clusters_ranges_have_their_names_too() -> None:
    slices = [
        make_slice("192.0.2.7", name="db"),
        make_slice("2001:db8::7", name="db", part=2, family="IPv6"),
    ]
    resolver = make_resolver((HEADLESS, slices))
    for address, host in (("192.0.2.7", "192-0-2-7"), ("2001:db8::7", "2001-db8--7")):
        name = dns.reversename.from_address(address)
        answer = resolver.decide(dns.message.make_query(name, "PTR").to_wire())
        assert isinstance(answer, bytes)
        told = records(dns.message.from_wire(answer))
        assert told == [f"PTR {host}.db.shop.svc.cluster.local."]
        empty = resolver.decide(dns.message.make_query(name, "TXT").to_wire())
        assert isinstance(empty, bytes)
        assert dns.message.from_wire(empty).rcode() == dns.rcode.NOERROR
    unknown = dns.message.make_query("8.2.0.192.in-addr.arpa.", "PTR")
    assert isinstance(resolver.decide(unknown.to_wire()), Forward)


def test_the_first_record_takes_turns() -> None:
    firsts = {ask("db.shop.svc.cluster.local.").answer[0][0].to_text() for _ in range(4)}
    query = dns.message.make_query("db.shop.svc.cluster.local.", "A").to_wire()
    assert len({RESOLVER.decide(query)[-4:] for _ in range(4)}) == 2
    assert firsts


def test_pods_by_address_and_the_zones_own_names() -> None:
    assert records(ask("10-244-0-9.shop.pod.cluster.local.")) == ["A 10.244.0.9"]
    assert ask("10-244-0.shop.pod.cluster.local.").rcode() == dns.rcode.NXDOMAIN
    assert ask("a.10-244-0-9.shop.pod.cluster.local.").rcode() == dns.rcode.NXDOMAIN
    assert records(ask("dns-version.cluster.local.", "TXT")) == ['TXT "1.1.0"']
    assert records(ask("cluster.local.", "SOA"))[0].startswith("SOA ns.dns.cluster.local.")
    assert records(ask("ns.dns.cluster.local.")) == ["A 10.96.0.10"]


@pytest.mark.parametrize(
    "name", ["example.org.", "local.", "xcluster.local.", "9.9.9.9.in-addr.arpa."]
)
def test_names_of_others_are_forwarded(name: str) -> None:
    decision = RESOLVER.decide(dns.message.make_query(name, "A").to_wire())
    assert isinstance(decision, Forward)


def test_an_external_name_is_followed() -> None:
    query = dns.message.make_query("far.shop.svc.cluster.local.", "A")
    decision = RESOLVER.decide(query.to_wire())
    assert isinstance(decision, Follow)
    assert decision.target == b"\x07example\x03org\x00"
    assert records(ask("far.shop.svc.cluster.local.", "CNAME")) == ["CNAME example.org."]


def test_until_the_zone_is_complete_its_names_are_a_failure() -> None:
    resolver = Resolver(Zone(Settings()))
    answer = resolver.decide(dns.message.make_query(WEB, "A").to_wire())
    assert dns.message.from_wire(answer).rcode() == dns.rcode.SERVFAIL


def test_edns_is_answered_in_kind() -> None:
    assert ask(WEB, use_edns=0, payload=4096).edns == 0
    assert ask(WEB).edns == -1
    cookie = dns.edns.GenericOption(10, b"12345678")
    assert records(ask(WEB, use_edns=0, options=[cookie])) == ["A 10.96.0.20"]


def test_a_long_answer_is_cut_for_udp_and_whole_for_tcp() -> None:
    many = make_slice(*(f"10.244.1.{n}" for n in range(200)), name="big")
    service = make_service("big", cluster_ip="None", cluster_ips=("None",))
    resolver = make_resolver((service, [many]))
    for edns, size in ((-1, 512), (0, 1232)):
        query = dns.message.make_query(
            "big.shop.svc.cluster.local.", "A", use_edns=edns, payload=4096
        ).to_wire()
        wire = resolver.decide(query)
        cut = dns.message.from_wire(wire)
        assert size - 16 < len(wire) <= size
        assert cut.flags & dns.flags.TC
        whole = dns.message.from_wire(resolver.decide(query, stream=True))
        assert not whole.flags & dns.flags.TC
        assert len(whole.answer[0]) == 200


def test_odd_queries_get_the_right_refusal() -> None:
    def code(query: dns.message.Message) -> dns.rcode.Rcode:
        answer = RESOLVER.decide(query.to_wire())
        assert isinstance(answer, bytes)
        return dns.message.from_wire(answer, ignore_trailing=True).rcode()

    notify = dns.message.make_query(WEB, "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    assert code(notify) == dns.rcode.NOTIMP
    assert code(dns.message.make_query(WEB, "A", "CH")) == dns.rcode.REFUSED
    assert code(dns.message.make_query("cluster.local.", "AXFR")) == dns.rcode.REFUSED
    assert code(dns.message.make_query(WEB, "A", use_edns=1)) == dns.rcode.BADVERS
    two = dns.message.make_query(WEB, "A")
    two.question *= 2
    assert code(two) == dns.rcode.FORMERR
    assert records(ask(WEB, "ANY")) == ["A 10.96.0.20"]


def test_an_answer_or_a_stump_is_met_with_silence() -> None:
    response = dns.message.make_response(dns.message.make_query(WEB, "A"))
    assert RESOLVER.decide(response.to_wire()) is None
    assert RESOLVER.decide(b"") is None
    assert RESOLVER.decide(b"\x00" * 11) is None


QUERY = dns.message.make_query(WEB, "A", use_edns=0).to_wire()


@given(st.binary(max_size=80))
@example(struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\xc0\x0c\x00\x01\x00\x01")
@example(struct.pack("!HHHHHH", 1, 0x100, 65535, 65535, 65535, 65535))
def test_no_packet_breaks_the_resolver(data: bytes) -> None:
    header = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 1)
    for packet in (data, header + data, QUERY + data):
        check(packet, RESOLVER.decide(packet))


@given(st.integers(0, len(QUERY) - 1), st.integers(0, 255), st.integers(1, len(QUERY)))
def test_no_mutation_breaks_the_resolver(place: int, value: int, length: int) -> None:
    mutated = bytearray(QUERY)
    mutated[place] = value
    check(bytes(mutated[:length]), RESOLVER.decide(bytes(mutated[:length])))


def check(packet: bytes, decision: object) -> None:
    assert decision is None or isinstance(decision, bytes | Forward | Follow)
    if isinstance(decision, bytes):
        assert decision[:2] == packet[:2]
        assert decision[2] & 0x80
        dns.message.from_wire(decision)
