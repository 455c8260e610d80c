"""Docker's blocking event stream, brought onto the event loop by one thread.

Called by `docker.py`; it hands over how to open a stream and which errors mean "connect again".
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog

from reconciler.kubelet import dockerapi
from reconciler.kubelet.runtime import Happened, RuntimeFailure, RuntimeUnavailable

_RECONNECT = (0.05, 0.1, 0.2, 0.5, 1.0)


class EventStream:
    """Reads events until closed. `open_` returns an iterator of decoded lines with a `close`."""

    def __init__(self, open_: Callable[[], Any], unreachable: tuple[type[Exception], ...]) -> None:
        self._open = open_
        self._unreachable = unreachable
        self._log = structlog.get_logger(component="docker")

    async def run(self) -> AsyncIterator[Happened]:
        """Yield events for ever; "resync" after each connection that was made."""
        failures, told = 0, ""
        while True:
            try:
                async for event in self._once():
                    failures, told = 0, ""
                    yield event
            except RuntimeUnavailable as error:
                if str(error) != told:  # once, not with every try of a long outage
                    told = str(error)
                    self._log.warning("docker.events.lost", reason=told)
            await asyncio.sleep(_RECONNECT[min(failures, len(_RECONNECT) - 1)])
            failures += 1

    async def _once(self) -> AsyncIterator[Happened]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Happened | None] = asyncio.Queue()
        reader = _Reader(self._open, self._unreachable, loop, queue)
        thread = threading.Thread(target=reader.run, name="docker-events", daemon=True)
        thread.start()
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            reader.close()
        raise RuntimeUnavailable(reader.reason)


class _Reader:
    """The thread's side of one connection."""

    def __init__(
        self,
        open_: Callable[[], Any],
        unreachable: tuple[type[Exception], ...],
        loop: asyncio.AbstractEventLoop,
        queue: asyncio.Queue[Happened | None],
    ) -> None:
        self._open, self._unreachable = open_, unreachable
        self._loop, self._queue = loop, queue
        self._stream: Any = None
        self._closed = False
        self.reason = "the event stream ended"

    def run(self) -> None:
        """Read until the stream ends, then say so with a None."""
        try:
            self._stream = self._open()
            self._put(Happened("resync"))
            for line in self._stream:
                event = dockerapi.happened(line)
                if event is not None:
                    self._put(event)
        except self._unreachable as error:
            self.reason = str(error)
        except (ValueError, RuntimeFailure) as error:  # a line cut off by the engine's end
            self.reason = str(error)
        finally:
            self._put(None)

    def close(self) -> None:
        """End the reading from outside."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()

    def _put(self, event: Happened | None) -> None:
        if not self._closed:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, event)
