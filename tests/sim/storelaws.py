"""The laws of the store: one history, each write of which replaces what its writer had read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.model import kinds
from reconciler.store.protocol import Change, Event
from tests.sim.facts import SECRET_BYTES

Break = Callable[[str, str], None]
"""Tell that a law, by its name, does not hold."""


class StoreLaws:
    """Every durable change so far, and what each watcher got of them."""

    def __init__(self, broken: Break) -> None:
        self._broken = broken
        self._revision = 0
        self._present: dict[Any, int] = {}
        self._changes: dict[str, list[int]] = {}
        self._watchers: dict[object, tuple[str, int]] = {}

    def written(self, event: Event, expected: int | None) -> None:
        """See a durable change, whose writer had read the revision `expected`, 0 for nothing."""
        key, revision = event.record.key, event.record.revision
        if revision <= self._revision:
            self._broken("revisions grow", f"{key} at {revision}")
        self._revision = revision
        self._changes.setdefault(key.kind, []).append(revision)
        present = self._present.pop(key, 0)
        previous = event.previous.revision if event.previous else 0
        if (event.change is Change.ADDED) == bool(present) or previous != present:
            what = f"{event.change} of {key} at {revision} on {previous}, not on {present}"
            self._broken("the history is whole", what)
        if expected is not None and expected != present:
            what = f"{key} at {revision} replaces {present}, its writer had read {expected}"
            self._broken("a stale write is refused", what)
        if event.change is not Change.DELETED:
            self._present[key] = revision
        if key.kind != "Secret" and any(each in event.record.value for each in SECRET_BYTES):
            self._broken("secrets stay secret", f"{key} has one")

    def watched(self, watcher: object, kind: type[Any], revision: int) -> None:
        """See what a watcher gets: its first call says from where, each other one is an event."""
        name = kinds.of(kind).key_kind
        known = self._watchers.get(watcher)
        changes = self._changes.get(name, [])
        if known is None:
            place = len(changes)
            while place and changes[place - 1] > revision:
                place -= 1
            self._watchers[watcher] = (name, place)
            return
        place = known[1]
        if place >= len(changes) or changes[place] != revision:
            wanted = changes[place] if place < len(changes) else None
            self._broken("each change once and in order", f"{name} {revision}, expected {wanted}")
        self._watchers[watcher] = (name, place + 1)
