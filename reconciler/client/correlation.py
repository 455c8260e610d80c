"""Which events are written, which only counted, which dropped. Pure, after client-go's correlator.

Used by `events.py`. Three steps: many similar messages become one combined event, equal events
become a count, and an object that speaks too often is cut short.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

from reconciler.model.reference import ObjectReference

_SIMILAR = 10  # different messages of one reason before they are combined
_SIMILAR_SECONDS = 600.0
_BURST = 25.0  # events an object may have at once
_REFILL = 1 / 300  # further events a second
_REMEMBERED = 4096
_COMBINED = "(combined from similar events): "

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Occurrence(NamedTuple):
    """Something that a component says of an object."""

    component: str
    host: str
    about: ObjectReference
    kind: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Written:
    """The Event object that stands for equal occurrences: its name, how many, the first when."""

    name: str
    count: int
    first: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write: `written` is None for a new Event, or the one to count up."""

    key: Occurrence
    message: str
    written: Written | None


class _Recent(OrderedDict[K, V], Generic[K, V]):
    """A map that forgets what was set longest ago."""

    def remember(self, key: K, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > _REMEMBERED:
            self.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Similar:
    """Messages seen for one reason, and when the last came."""

    messages: frozenset[str]
    last: float


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Tokens that an object has left for events, as of `at`."""

    tokens: float
    at: float


class Correlator:
    """The memory of one recorder, bounded."""

    def __init__(self) -> None:
        self._similar: _Recent[Occurrence, _Similar] = _Recent()
        self._written: _Recent[Occurrence, Written] = _Recent()
        self._buckets: _Recent[tuple[str, str, ObjectKeyParts], _Bucket] = _Recent()

    def decide(self, occurrence: Occurrence, now: float) -> Decision | None:
        """Return what to write at `now` (seconds, monotonic), or None to drop it."""
        if not self._may_speak(occurrence, now):
            return None
        key, message = self._combine(occurrence, now)
        return Decision(key, message, self._written.get(key))

    def wrote(self, key: Occurrence, written: Written) -> None:
        """Note the Event that now stands for `key`."""
        self._written.remember(key, written)

    def forget(self, key: Occurrence) -> None:
        """Note that the Event of `key` is gone."""
        self._written.pop(key, None)

    def _combine(self, occurrence: Occurrence, now: float) -> tuple[Occurrence, str]:
        group = occurrence._replace(message="")
        seen = self._similar.get(group)
        if seen is None or now - seen.last > _SIMILAR_SECONDS:
            seen = _Similar(frozenset(), now)
        messages = seen.messages
        if len(messages) < _SIMILAR:
            messages |= {occurrence.message}
        self._similar.remember(group, replace(seen, messages=messages, last=now))
        if occurrence.message in messages:
            return occurrence, occurrence.message
        return group, _COMBINED + occurrence.message

    def _may_speak(self, occurrence: Occurrence, now: float) -> bool:
        about = occurrence.about
        key = (occurrence.component, occurrence.host, _parts(about))
        bucket = self._buckets.get(key) or _Bucket(_BURST, now)
        tokens = min(_BURST, bucket.tokens + (now - bucket.at) * _REFILL)
        allowed = tokens >= 1
        self._buckets.remember(key, _Bucket(tokens - allowed, now))
        return allowed


ObjectKeyParts = tuple[str, str, str, str]


def _parts(about: ObjectReference) -> ObjectKeyParts:
    return (about.kind, about.namespace, about.name, about.uid)
