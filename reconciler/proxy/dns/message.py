"""Questions read from the wire and answers put on it: the form that nearly every query has.

A query with one question and at most an EDNS record is read here in a few slices; anything else
is `resolver.py`'s to judge with the DNS library. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

HEADER_SIZE = 12
PLAIN_LIMIT = 512  # RFC 1035: the longest UDP answer to a client without EDNS
EDNS_LIMIT = 1232  # the DNS flag day's: never fragmented
STREAM_LIMIT = 65535

NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, REFUSED = 0, 1, 2, 3, 5

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_OPT = struct.Struct("!BHHIH")
_OPT_TYPE = 41
_ANSWER, _AUTHORITATIVE, _TRUNCATED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0200, 0x0080
_KEPT_FLAGS = 0x0110  # recursion desired, checking disabled: the client's words given back
_PLAIN_FLAGS = 0x0130  # what a plain query may have set: those and "authentic data"
_OWNER = b"\xc0\x0c"  # a pointer to the question's name
_MAX_LABEL = 63
_MAX_NAME = 255
OWN_OPT = _OPT.pack(0, _OPT_TYPE, EDNS_LIMIT, 0, 0)


class Query(NamedTuple):
    """A plain query. `name` is lower-case wire form; `question` the client's own spelling."""

    ident: int
    flags: int
    name: bytes
    kind: int
    question: bytes
    edns: bool
    limit: int


def parse(data: bytes) -> Query | None:
    """Return the query when it is of the plain form: class IN, opcode QUERY, EDNS version 0."""
    if len(data) < HEADER_SIZE:
        return None
    ident, flags, questions, answers, authorities, extras = _HEADER.unpack_from(data)
    if (questions, answers, authorities) != (1, 0, 0) or extras > 1 or flags & ~_PLAIN_FLAGS:
        return None
    end = _name_end(data)
    if not end or len(data) < end + _QUESTION.size:
        return None
    kind, family = _QUESTION.unpack_from(data, end)
    after = end + _QUESTION.size
    limit = _edns_limit(data, after) if extras else PLAIN_LIMIT
    if family != 1 or not limit or (not extras and len(data) != after):
        return None
    name = data[HEADER_SIZE:end].lower()
    return Query(ident, flags, name, kind, data[HEADER_SIZE:after], bool(extras), limit)


def reply(
    query: Query,
    code: int,
    answers: Sequence[bytes] = (),
    *,
    authority: bytes = b"",
    extras: Sequence[bytes] = (),
    limit: int = 0,
) -> bytes:
    """Return an authoritative answer of at most `limit` bytes (default: what the query allows).

    `answers` are records without their owner, which is the question's name; `authority` and
    `extras` are whole records. What does not fit is left out, and an answer left out marks the
    message as truncated.
    """
    opt = OWN_OPT if query.edns else b""
    room = (limit or query.limit) - HEADER_SIZE - len(query.question) - len(opt) - len(authority)
    kept = _fit([_OWNER + answer for answer in answers], room)
    room -= sum(map(len, kept))
    more = _fit(extras, room) if len(kept) == len(answers) else []
    flags = _ANSWER | _AUTHORITATIVE | _RECURSION_AVAILABLE | query.flags & _KEPT_FLAGS | code
    if len(kept) < len(answers):
        flags |= _TRUNCATED
    header = _HEADER.pack(
        query.ident, flags, 1, len(kept), 1 if authority else 0, len(more) + (1 if opt else 0)
    )
    return b"".join((header, query.question, *kept, authority, *more, opt))


def failure(query: Query, code: int) -> bytes:
    """Return an answer that says nothing but `code`."""
    flags = _ANSWER | _RECURSION_AVAILABLE | query.flags & _KEPT_FLAGS | code
    opt = OWN_OPT if query.edns else b""
    return _HEADER.pack(query.ident, flags, 1, 0, 0, 1 if opt else 0) + query.question + opt


def truncate(data: bytes, query: Query) -> bytes:
    """Return somebody's answer cut to the bare question when it is longer than the query allows."""
    if len(data) <= query.limit:
        return data
    flags = int.from_bytes(data[2:4], "big") | _TRUNCATED
    return _HEADER.pack(query.ident, flags, 1, 0, 0, 0) + query.question


def _name_end(data: bytes) -> int:
    """Return the offset after the question's name, 0 when it is compressed, long or cut off."""
    offset = HEADER_SIZE
    while offset < len(data):
        length = data[offset]
        if length > _MAX_LABEL:
            return 0
        offset += length + 1
        if not length:
            return offset if offset - HEADER_SIZE <= _MAX_NAME else 0
    return 0


def _edns_limit(data: bytes, offset: int) -> int:
    """Return how long an answer the client's EDNS record allows, 0 when it is no plain one."""
    if len(data) < offset + _OPT.size:
        return 0
    root, kind, size, version, length = _OPT.unpack_from(data, offset)
    plain = root == 0 and kind == _OPT_TYPE and not version & 0xFFFF0000
    if not plain or len(data) != offset + _OPT.size + length:
        return 0
    return min(max(PLAIN_LIMIT, int(size)), EDNS_LIMIT)


def _fit(records: Sequence[bytes], room: int) -> list[bytes]:
    kept = []
    for record in records:
        room -= len(record)
        if room < 0:
            break
        kept.append(record)
    return kept
