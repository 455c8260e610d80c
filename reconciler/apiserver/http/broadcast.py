"""Watchers that keep up with what happens, told together. Used by `watching.py` alone.

To wake the task of each of many watchers for an event costs as much as to encrypt it for them. So
one call tells all that follow the same kind and namespace, and a burst is gathered for all of them
at once. Whoever cannot be told without waiting leaves, and waits in his own task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from reconciler.store.protocol import Feed

_GATHER_SECONDS = 0.004  # how long those who were just told something gather what follows

Push = Callable[[], bool]
"""Tells a watcher what came, without waiting; returns whether there was anything.

What it raises ends its watcher's `follow`.
"""


class Broadcast:
    """Those who follow one kind in one namespace and keep up."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pushes: dict[Push, asyncio.Future[None]] = {}
        self._due: asyncio.Handle | None = None
        self._next = 0.0
        self._leave: Callable[[], None] | None = None

    async def follow(self, feed: Feed, push: Push) -> None:
        """Call `push` whenever something came, until cancelled or until it raises.

        What came before is the caller's business: `feed` has been read to its end.
        """
        over: asyncio.Future[None] = self._loop.create_future()
        if self._leave is None:
            self._leave = feed.follow(self._hear)
        self._pushes[push] = over
        try:
            await over
        finally:
            self._pushes.pop(push, None)
            if not self._pushes:
                self._rest()

    def _rest(self) -> None:
        """Hear of nothing while nobody follows."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _hear(self) -> None:
        """Plan to tell: at once, or when what follows was gathered. Called by the store."""
        if self._due is not None:
            return
        if self._next > self._loop.time():
            self._due = self._loop.call_at(self._next, self._tell)
        else:
            self._due = self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._due, told = None, False
        for push, over in tuple(self._pushes.items()):
            try:
                told = push() or told
            except Exception as error:  # noqa: BLE001 - it is raised again in its watcher's task
                del self._pushes[push]
                if not over.done():
                    over.set_exception(error)
        if told:
            self._next = self._loop.time() + _GATHER_SECONDS


class Broadcasts:
    """The broadcasts of a server; one lives as long as a watcher holds it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[str, str], Broadcast] = WeakValueDictionary()

    def of(self, kind: str, namespace: str) -> Broadcast:
        """Return the broadcast of a kind in a namespace, of all for none."""
        found = self._known.get((kind, namespace))
        if found is None:
            found = self._known[kind, namespace] = Broadcast()
        return found
