"""A SPDY/3.1 session, server side, over any connection: an upgraded one, or a WebSocket's messages.

Used by exec, attach and port-forward. A stream that nobody reads holds its session back, as TCP
would; the streams of one session are few.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

from reconciler.apiserver.http.message import Duplex
from reconciler.apiserver.streaming.inbox import Inbox
from reconciler.apiserver.streaming.spdy import frames
from reconciler.apiserver.streaming.spdy.frames import Data, GoAway, Ping, Reset, SynStream

_PIECE = 32 * 1024  # one stream's turn
_MOST_STREAMS = 1000


class Stream:
    """One stream that the client opened: `headers`, bytes in, bytes out."""

    def __init__(self, session: Session, number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self.inbox = Inbox()
        self._session = session
        self._closed = False

    async def read(self) -> bytes:
        """Return the next bytes, none at the end."""
        return await self.inbox.read()

    async def write(self, data: bytes) -> None:
        """Send; raises `ConnectionError` when the client reset the stream or is gone."""
        if self._closed:
            raise ConnectionResetError("the stream is closed")
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            await self._session.send(frames.data(self.number, piece))

    async def end(self) -> None:
        """Say that no more is sent."""
        if not self._closed:
            self._closed = True
            await self._session.send(frames.data(self.number, b"", fin=True))

    async def reset(self) -> None:
        """End both ways, and forget the stream."""
        self.retire()
        await self.inbox.end()
        await self._session.send(frames.reset(self.number))

    def retire(self) -> None:
        """Forget the stream; what the client still sends on it is dropped."""
        self._closed = True
        self._session.forget(self.number)

    async def lost(self) -> None:
        """Note that the client reset it, or is gone."""
        self._closed = True
        await self.inbox.end()


class Session:
    """See the module. `run` reads until the client ends; `next` gives opened streams."""

    def __init__(self, connection: Duplex) -> None:
        self._connection = connection
        self._reader, self._writer = frames.Reader(), frames.Writer()
        self._streams: dict[int, Stream] = {}
        self._opened: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._last = 0

    async def run(self) -> None:
        """Read frames until the connection or the session ends."""
        try:
            while data := await self._connection.read():
                for frame in self._reader.feed(data):
                    await self._take(frame)
        except (frames.Malformed, ConnectionError):
            return  # the end, like any other
        finally:
            for stream in tuple(self._streams.values()):
                await stream.lost()
            self._opened.put_nowait(None)

    async def next(self) -> Stream | None:
        """Return the next stream that the client opens, None when there will be none."""
        stream = await self._opened.get()
        if stream is None:
            self._opened.put_nowait(None)
        return stream

    async def send(self, frame: bytes) -> None:
        """Send a frame whole."""
        await self._connection.write(frame)

    def forget(self, number: int) -> None:
        """Drop a stream that ended."""
        self._streams.pop(number, None)

    async def close(self) -> None:
        """Tell the client that the session is over."""
        await self.send(frames.go_away(self._last))

    async def _take(self, frame: frames.Frame) -> None:
        match frame:
            case SynStream():
                await self._open(frame)
            case Data(stream=number, data=data, fin=fin):
                await self._deliver(number, data, "end" if fin else "more")
            case Reset(stream=number):
                stream = self._streams.pop(number, None)
                if stream is not None:
                    await stream.lost()
            case Ping(number=number):
                if number % 2:  # the client's own; an even one answers ours
                    await self.send(frames.ping(number))
            case GoAway():
                self._opened.put_nowait(None)

    async def _open(self, frame: SynStream) -> None:
        if frame.stream <= self._last or len(self._streams) >= _MOST_STREAMS:
            await self.send(frames.reset(frame.stream))
            return
        self._last = frame.stream
        stream = self._streams[frame.stream] = Stream(self, frame.stream, frame.headers)
        await self.send(self._writer.reply(frame.stream, {}))
        if frame.fin:
            await stream.inbox.end()
        self._opened.put_nowait(stream)

    async def _deliver(self, number: int, data: bytes, then: Literal["end", "more"]) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        await stream.inbox.put(data)
        if then == "end":
            await stream.inbox.end()
