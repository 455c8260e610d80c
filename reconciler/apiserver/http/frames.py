"""The encoded events of late, so that one is made once for all watchers that ask alike.

Used by `watching.py` alone. Watchers of one kind, form and choice share a `Channel`; what an event
is to them, even that it is nothing, is found out by the first of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from itertools import count
from weakref import WeakValueDictionary

_LIMIT = 4096


class Channel:
    """What all watchers that ask for the same are told: `number` stands for it in short keys."""

    __slots__ = ("__weakref__", "_known", "_number")

    def __init__(self, number: int, known: OrderedDict[tuple[int, int], bytes | None]) -> None:
        self._number = number
        self._known = known

    def __getitem__(self, revision: int) -> bytes | None:
        """Return the frame of an event, None for one that is not told; raises `KeyError`."""
        return self._known[self._number, revision]

    def keep(self, revision: int, frame: bytes | None) -> bytes | None:
        """Keep what is told of an event, and return it."""
        self._known[self._number, revision] = frame
        if len(self._known) > _LIMIT:
            self._known.popitem(last=False)
        return frame


class Frames:
    """The channels of a server; one lives as long as a watcher holds it."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], bytes | None] = OrderedDict()
        self._channels: WeakValueDictionary[Hashable, Channel] = WeakValueDictionary()
        self._numbers = count()

    def channel(self, asked: Hashable) -> Channel:
        """Return the channel of those that ask for `asked`."""
        found = self._channels.get(asked)
        if found is None:
            found = self._channels[asked] = Channel(next(self._numbers), self._known)
        return found
