"""Which events are written, which only counted, which dropped. Pure, after client-go's correlator.

Used by `events.py`. Three steps: many similar messages become one combined event, equal events
become a count, and an object that speaks too often is cut short.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from reconciler.model.reference import ObjectReference

_SIMILAR = 10  # different messages of one reason before they are combined
_SIMILAR_SECONDS = 600.0
_BURST = 25.0  # events an object may have at once
_REFILL = 1 / 300  # further events a second
_REMEMBERED = 4096
_TOLD_SECONDS = 3600.0  # an Event stays for so long, see `retention.py`
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


class _Recent(Generic[K, V]):
    """A map that forgets what was not set for `seconds`, and what was set longest ago."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K, now: float) -> V | None:
        at, value = self._held.get(key, (-math.inf, None))
        return value if now - at <= self._seconds else None

    def remember(self, key: K, value: V, now: float) -> None:
        self._held[key] = (now, value)
        self._held.move_to_end(key)
        while len(self._held) > _REMEMBERED or self._oldest() < now - self._seconds:
            self._held.popitem(last=False)

    def forget(self, key: K) -> None:
        self._held.pop(key, None)

    def _oldest(self) -> float:
        at, _ = next(iter(self._held.values()))
        return at


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Tokens that an object has left for events, as of `at`."""

    tokens: float
    at: float


class Correlator:
    """The memory of one recorder, bounded."""

    def __init__(self) -> None:
        self._similar: _Recent[Occurrence, frozenset[str]] = _Recent(_SIMILAR_SECONDS)
        self._written: _Recent[Occurrence, Written] = _Recent(_TOLD_SECONDS)
        # a bucket that has had the time to fill up says nothing
        self._buckets: _Recent[tuple[str, str, ObjectKeyParts], _Bucket] = _Recent(_BURST / _REFILL)

    def decide(self, occurrence: Occurrence, now: float) -> Decision | None:
        """Return what to write at `now` (seconds, monotonic), or None to drop it."""
        if not self._may_speak(occurrence, now):
            return None
        key, message = self._combine(occurrence, now)
        return Decision(key, message, self._written.get(key, now))

    def wrote(self, key: Occurrence, written: Written, now: float) -> None:
        """Note the Event that now stands for `key`."""
        self._written.remember(key, written, now)

    def forget(self, key: Occurrence) -> None:
        """Note that the Event of `key` is gone."""
        self._written.forget(key)

    def _combine(self, occurrence: Occurrence, now: float) -> tuple[Occurrence, str]:
        group = occurrence._replace(message="")
        messages = self._similar.get(group, now) or frozenset()
        if len(messages) < _SIMILAR:
            messages |= {occurrence.message}
        self._similar.remember(group, messages, now)
        if occurrence.message in messages:
            return occurrence, occurrence.message
        return group, _COMBINED + occurrence.message

    def _may_speak(self, occurrence: Occurrence, now: float) -> bool:
        about = occurrence.about
        key = (occurrence.component, occurrence.host, _parts(about))
        bucket = self._buckets.get(key, now) or _Bucket(_BURST, now)
        tokens = min(_BURST, bucket.tokens + (now - bucket.at) * _REFILL)
        allowed = tokens >= 1
        self._buckets.remember(key, _Bucket(tokens - allowed, now), now)
        return allowed


ObjectKeyParts = tuple[str, str, str, str]


def _parts(about: ObjectReference) -> ObjectKeyParts:
    return (about.kind, about.namespace, about.name, about.uid)
