"""The encoded events of late, so that one is made once for all watchers that ask alike.

Used by `watching.py` alone. Watchers of one kind, form and choice share a `Channel`; what an event
is to them, even that it is nothing, is found out by the first of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from itertools import count
from weakref import WeakValueDictionary

_MOST_FRAMES = 4096
_MOST_BYTES = 32 * 1024 * 1024


class _Shelf:
    """The frames of all channels, by channel and revision: the oldest go first."""

    __slots__ = ("_size", "known")

    def __init__(self) -> None:
        self.known: OrderedDict[tuple[int, int], bytes | None] = OrderedDict()
        self._size = 0

    def put(self, key: tuple[int, int], frame: bytes | None) -> None:
        self.known[key] = frame
        self._size += len(frame or b"")
        while len(self.known) > _MOST_FRAMES or self._size > _MOST_BYTES:
            _, oldest = self.known.popitem(last=False)
            self._size -= len(oldest or b"")


class Channel:
    """What all watchers that ask for the same are told: `number` stands for it in short keys."""

    __slots__ = ("__weakref__", "_known", "_number", "_shelf")

    def __init__(self, number: int, shelf: _Shelf) -> None:
        self._number = number
        self._shelf = shelf
        self._known = shelf.known

    def __getitem__(self, revision: int) -> bytes | None:
        """Return the frame of an event, None for one that is not told; raises `KeyError`."""
        return self._known[self._number, revision]

    def keep(self, revision: int, frame: bytes | None) -> bytes | None:
        """Keep what is told of an event that is not known yet, and return it."""
        self._shelf.put((self._number, revision), frame)
        return frame


class Frames:
    """The channels of a server; one lives as long as a watcher holds it."""

    def __init__(self) -> None:
        self._shelf = _Shelf()
        self._channels: WeakValueDictionary[Hashable, Channel] = WeakValueDictionary()
        self._numbers = count()

    def channel(self, asked: Hashable) -> Channel:
        """Return the channel of those that ask for `asked`."""
        found = self._channels.get(asked)
        if found is None:
            found = self._channels[asked] = Channel(next(self._numbers), self._shelf)
        return found
