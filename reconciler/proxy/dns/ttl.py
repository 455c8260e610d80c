"""The lifetimes in somebody else's answer: how long it may be kept, and how old it has become.

Pure; `upstream.py` is the caller.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from reconciler.proxy.dns.message import HEADER_SIZE, NAME_ERROR, NO_ERROR

_COUNTS = struct.Struct("!HHHH")
_RECORD = struct.Struct("!HHIH")
_TTL = struct.Struct("!I")
_OPT = 41
_POINTER = 0xC0
_TRUNCATED = 0x02
_NO_ANSWER_LIMIT = 5  # seconds: an absence may end any time


class _Malformed(ValueError):
    """The message's records do not end where they say."""


def lifetime(data: bytes) -> int:
    """Return for how many seconds an answer may be kept; 0 for one that must not be."""
    if len(data) < HEADER_SIZE or data[2] & _TRUNCATED:
        return 0
    if data[3] & 0x0F not in (NO_ERROR, NAME_ERROR):
        return 0
    try:
        lifetimes = [ttl for _, ttl in _lifetimes(data)]
    except (_Malformed, struct.error, IndexError):
        return 0
    answers = int.from_bytes(data[6:8], "big")
    shortest = min(lifetimes, default=0)
    return shortest if answers else min(shortest, _NO_ANSWER_LIMIT)


def age(data: bytes, seconds: int) -> bytes:
    """Return a kept answer whose records have `seconds` less to live."""
    if not seconds:
        return data
    aged = bytearray(data)
    for offset, ttl in _lifetimes(data):
        _TTL.pack_into(aged, offset, max(0, ttl - seconds))
    return bytes(aged)


def _lifetimes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each record's TTL stands, and the TTL; EDNS records have none."""
    questions, *counts = _COUNTS.unpack_from(data, 4)
    offset = HEADER_SIZE
    for _ in range(questions):
        offset = _skip_name(data, offset) + 4
    for _ in range(sum(counts)):
        offset = _skip_name(data, offset)
        kind, _, ttl, length = _RECORD.unpack_from(data, offset)
        if kind != _OPT:
            yield offset + 4, ttl
        offset += _RECORD.size + length
        if offset > len(data):
            raise _Malformed


def _skip_name(data: bytes, offset: int) -> int:
    while length := data[offset]:
        if length >= _POINTER:
            return offset + 2
        offset += length + 1
    return offset + 1
