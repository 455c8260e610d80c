"""Puts an alias and what it stands for into one answer. `server.py` is the caller.

A client's resolver does not follow an alias itself: who answers with one must say where it leads.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable

import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from reconciler.proxy.dns import message
from reconciler.proxy.dns.message import Query
from reconciler.proxy.dns.resolver import Decision, Follow, Forward
from reconciler.proxy.dns.zone import TTL

_QUESTION = struct.Struct("!HH")
_DEPTH = 8

Decide = Callable[[Query], Decision]
Ask = Callable[[Query], Awaitable[bytes]]


async def follow(found: Follow, decide: Decide, ask: Ask) -> bytes:
    """Return the answer to `found.query`: each alias on the way and the last one's records.

    `decide` answers for the zone's own names, `ask` for others. A chain of more than 8 aliases is
    a server failure. Raises what `ask` raises.
    """
    query, step = found.query, found
    chain: list[dns.rrset.RRset] = []
    for _ in range(_DEPTH):
        chain.append(_alias(step))
        there = _question(step.target, query)
        decision = decide(there)
        if isinstance(decision, Follow):
            step = decision
            continue
        data = await ask(there) if isinstance(decision, Forward) else decision
        return _join(query, chain, data or message.failure(query, message.SERVER_FAILURE))
    return message.failure(query, message.SERVER_FAILURE)


def _question(name: bytes, query: Query) -> Query:
    question = name + _QUESTION.pack(query.kind, 1)
    return query._replace(name=name, question=question, limit=message.STREAM_LIMIT)


def _alias(step: Follow) -> dns.rrset.RRset:
    owner, target = (dns.name.from_wire(name, 0)[0] for name in (step.query.name, step.target))
    return dns.rrset.from_text(owner, TTL, dns.rdataclass.IN, dns.rdatatype.CNAME, target.to_text())


def _join(query: Query, chain: list[dns.rrset.RRset], data: bytes) -> bytes:
    try:
        last = dns.message.from_wire(data)
        asked = dns.message.from_wire(_asked(query))
    except (dns.exception.DNSException, ValueError):
        return message.failure(query, message.SERVER_FAILURE)
    answer = dns.message.make_response(asked, recursion_available=True)
    answer.set_rcode(last.rcode())
    answer.answer = [*chain, *last.answer]
    answer.authority = list(last.authority) if not last.answer else []
    return message.truncate(answer.to_wire(max_size=message.STREAM_LIMIT), query)


def _asked(query: Query) -> bytes:
    """Return the client's query as it came, but for the options of its EDNS record."""
    opt = message.OWN_OPT if query.edns else b""
    counts = struct.pack("!HHHHHH", query.ident, query.flags, 1, 0, 0, 1 if opt else 0)
    return counts + query.question + opt
