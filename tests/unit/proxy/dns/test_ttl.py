from __future__ import annotations

import dns.message
import dns.rrset
from hypothesis import given
from hypothesis import strategies as st

from reconciler.proxy.dns.ttl import age, lifetime


def answer(*ttls: int, edns: bool = False) -> bytes:
    query = dns.message.make_query("example.org.", "A", use_edns=0 if edns else None)
    made = dns.message.make_response(query)
    for number, ttl in enumerate(ttls):
        name = "example.org." if number == 0 else f"x{number}.example.org."
        made.answer.append(dns.rrset.from_text(name, ttl, "IN", "A", f"192.0.2.{number}"))
    return made.to_wire()


def test_the_shortest_lifetime_holds() -> None:
    assert lifetime(answer(60, 30, edns=True)) == 30
    assert lifetime(answer(60, 0)) == 0


def test_absences_are_kept_shortly_and_only_with_a_lifetime() -> None:
    query = dns.message.make_query("example.org.", "A")
    made = dns.message.make_response(query)
    assert lifetime(made.to_wire()) == 0
    soa = "ns.example.org. root.example.org. 1 2 3 4 60"
    made.authority.append(dns.rrset.from_text("example.org.", 900, "IN", "SOA", soa))
    assert lifetime(made.to_wire()) == 5


def test_failures_and_cut_answers_are_not_kept() -> None:
    failed = bytearray(answer(60))
    failed[3] |= 2
    cut = bytearray(answer(60))
    cut[2] |= 2
    assert lifetime(bytes(failed)) == lifetime(bytes(cut)) == 0


def test_an_aged_answer_has_less_to_live() -> None:
    aged = dns.message.from_wire(age(answer(60, 10, edns=True), 20))
    assert [rrset.ttl for rrset in aged.answer] == [40, 0]


@given(st.binary(max_size=64))
def test_no_answer_breaks_it(data: bytes) -> None:
    assert lifetime(data) >= 0
    assert lifetime(answer(60)[:12] + data) >= 0
