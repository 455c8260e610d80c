"""Decides what a query gets: an answer from the zone, a question for others, or nothing. Pure.

`server.py` is the caller. No input may make it raise: what cannot be understood gets a format
error, what is no query at all gets silence.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.proxy.dns import message
from reconciler.proxy.dns.message import Query
from reconciler.proxy.dns.records import AAAA, CNAME, SOA, SRV, A, RRsets
from reconciler.proxy.dns.zone import Zone, resource

_ANY, _TRANSFERS = 255, (251, 252)
_SRV_TARGET = 6  # offset of the target's name in SRV data


@dataclass(frozen=True, slots=True)
class Forward:
    """Ask the host's resolvers for this name."""

    query: Query


@dataclass(frozen=True, slots=True)
class Follow:
    """Answer with this alias and whatever `target` (wire form) is."""

    query: Query
    target: bytes


Decision = bytes | Forward | Follow | None


class Resolver:
    """Answers from one zone. Until `ready` is set every name of the zone is a server failure."""

    def __init__(self, zone: Zone) -> None:
        self.ready = False
        self._zone = zone
        self._turn = itertools.count()

    def decide(self, data: bytes, *, stream: bool = False) -> Decision:
        """Return what to do with a packet; None is no answer at all. `stream` lifts the limit."""
        query = message.parse(data)
        if query is None:
            normal = _normalize(data)
            query = message.parse(normal) if normal else None
            if query is None:
                return normal
        if stream:
            query = query._replace(limit=message.STREAM_LIMIT)
        return self.resolve(query)

    def resolve(self, query: Query) -> Decision:
        """Return what to do with a plain query."""
        apex = self._zone.apex_of(query.name)
        if not apex:
            return Forward(query)
        if not self.ready:
            return message.failure(query, message.SERVER_FAILURE)
        if query.kind in _TRANSFERS:
            return message.failure(query, message.REFUSED)
        return self._answer(query, apex)

    def _answer(self, query: Query, apex: bytes) -> Decision:
        sets = self._zone.find(query.name)
        if sets is None:
            return message.reply(query, message.NAME_ERROR, authority=self._authority(apex))
        kind = next(iter(sets), query.kind) if query.kind == _ANY else query.kind
        data = sets.get(kind)
        if data is not None:
            answers = [resource(kind, value) for value in self._rotate(data)]
            return message.reply(
                query, message.NO_ERROR, answers, extras=tuple(self._extras(kind, data))
            )
        if CNAME in sets:
            return Follow(query, sets[CNAME][0])
        return message.reply(query, message.NO_ERROR, authority=self._authority(apex))

    def _rotate(self, data: tuple[bytes, ...]) -> Sequence[bytes]:
        """Begin each answer with another record: clients that take the first spread evenly."""
        if len(data) == 1:
            return data
        start = next(self._turn) % len(data)
        return data[start:] + data[:start]

    def _extras(self, kind: int, data: tuple[bytes, ...]) -> Iterator[bytes]:
        if kind != SRV:
            return
        for target in dict.fromkeys(value[_SRV_TARGET:] for value in data):
            sets: RRsets = self._zone.find(target) or {}
            for family in (A, AAAA):
                yield from (target + resource(family, data) for data in sets.get(family, ()))

    def _authority(self, apex: bytes) -> bytes:
        return apex + resource(SOA, self._zone.authority)


def _normalize(data: bytes) -> bytes | None:
    """Return an unusual query in plain form, or the error that answers it; None for silence."""
    if len(data) < message.HEADER_SIZE or data[2] & 0x80:
        return None
    # Most daemons are never asked so, and do without the parser of all that DNS knows.
    from reconciler.proxy.dns.unusual import normalize  # noqa: PLC0415 - a megabyte

    return normalize(data)
