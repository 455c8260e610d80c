"""Queries that `message.parse` does not take: other classes, opcodes, versions, options. Pure.

`resolver.py` is the caller. No input may make it raise.
"""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass

from reconciler.proxy.dns import message

_LIBRARY_FAULTS = (dns.exception.DNSException, ValueError)


def normalize(data: bytes) -> bytes:
    """Return the query in plain form, or the error that answers it; `data` has a whole header."""
    try:
        asked = dns.message.from_wire(data)
        code = _fault(asked)
        if code is None:
            return _plain(asked).to_wire()
        answer = dns.message.make_response(asked, recursion_available=True)
        answer.set_rcode(code)
        return answer.to_wire()
    except _LIBRARY_FAULTS:
        flags = bytes((0x80 | data[2] & 0x79, message.FORMAT_ERROR))
        return data[:2] + flags + bytes(message.HEADER_SIZE - 4)


def _fault(asked: dns.message.Message) -> dns.rcode.Rcode | None:
    if asked.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if asked.edns > 0:
        return dns.rcode.BADVERS
    if len(asked.question) != 1:
        return dns.rcode.FORMERR
    if asked.question[0].rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    return None


def _plain(asked: dns.message.Message) -> dns.message.Message:
    question = asked.question[0]
    edns = asked.edns >= 0
    plain = dns.message.make_query(
        question.name,
        question.rdtype,
        use_edns=0 if edns else None,
        payload=asked.payload if edns else None,
        id=asked.id,
    )
    plain.flags = asked.flags & (dns.flags.RD | dns.flags.CD)
    return plain
