"""SPDY/3.1 frames: bytes to values and back. Pure, but for the compression state of a connection.

Only what Kubernetes' clients send and read. Flow control is left out, as theirs is: each side
reads as fast as its transport lets it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.apiserver.streaming.spdy.dictionary import DICTIONARY
from reconciler.core.errors import ReconcilerError

_VERSION = 3
_CONTROL = 0x8000
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GO_AWAY, _HEADERS = 1, 2, 3, 6, 7, 8
_FIN = 1
_HEAD = 8
_LONGEST_FRAME = 1 << 20
_LONGEST_HEADERS = 64 * 1024
_MOST_HEADERS = 100
_ID = 0x7FFFFFFF
# The offset of the header block in a frame's body.
_SYN_STREAM_BLOCK, _SYN_REPLY_BLOCK = 10, 4


class Malformed(ReconcilerError):
    """What arrived is not SPDY/3.1, or beyond its bounds."""


@dataclass(frozen=True, slots=True)
class SynStream:
    """The client opens a stream."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream; `fin` says that they are the last."""

    stream: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """A stream ends abruptly."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """The client opens no more streams."""


Frame = SynStream | Data | Reset | Ping | GoAway


class Reader:
    """Frames from bytes that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete now. Raises `Malformed`."""
        self._buffer += data
        while len(self._buffer) >= _HEAD:
            size = int.from_bytes(self._buffer[5:8], "big")
            if size > _LONGEST_FRAME:
                raise Malformed(f"a frame of {size} bytes")
            if len(self._buffer) < _HEAD + size:
                return
            head, body = bytes(self._buffer[:_HEAD]), bytes(self._buffer[_HEAD : _HEAD + size])
            del self._buffer[: _HEAD + size]
            frame = self._frame(head, body)
            if frame is not None:
                yield frame

    def _frame(self, head: bytes, body: bytes) -> Frame | None:
        first, second, flags = struct.unpack_from(">HHB", head)
        if not first & _CONTROL:
            stream = (first << 16 | second) & _ID
            return Data(stream, body, fin=bool(flags & _FIN))
        if first != _CONTROL | _VERSION:
            raise Malformed(f"version {first & ~_CONTROL}")
        return self._control(second, body, fin=bool(flags & _FIN))

    def _control(self, kind: int, body: bytes, *, fin: bool) -> Frame | None:
        """Read a control frame; None for one that asks for nothing (settings, windows)."""
        if kind == _GO_AWAY:
            return GoAway()
        if kind not in (_SYN_STREAM, _SYN_REPLY, _HEADERS, _RST_STREAM, _PING):
            return None
        if len(body) < 4:  # noqa: PLR2004 - each of these begins with a number
            raise Malformed("a short frame")
        number = int.from_bytes(body[:4], "big") & _ID
        if kind == _SYN_STREAM:
            return SynStream(number, self._headers(body[_SYN_STREAM_BLOCK:]), fin=fin)
        if kind in (_SYN_REPLY, _HEADERS):
            self._headers(body[_SYN_REPLY_BLOCK:])  # the compression state is the connection's
            return None
        return Reset(number) if kind == _RST_STREAM else Ping(int.from_bytes(body[:4], "big"))

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            text = self._inflate.decompress(block, _LONGEST_HEADERS)
        except zlib.error as error:
            raise Malformed(f"a header block: {error}") from error
        if self._inflate.unconsumed_tail:
            raise Malformed(f"headers of more than {_LONGEST_HEADERS} bytes")
        return _pairs(text)


def _pairs(text: bytes) -> dict[str, str]:
    """Read an inflated header block: a count, then names and values, each with its length."""
    words = _words(text)
    count = next(words)
    if not isinstance(count, int) or count > _MOST_HEADERS:
        raise Malformed("too many headers")
    values = [word.decode("latin-1") for word in words if isinstance(word, bytes)]
    if len(values) != 2 * count:
        raise Malformed("a header block of the wrong length")
    return dict(zip(values[::2], values[1::2], strict=True))


def _words(text: bytes) -> Iterator[int | bytes]:
    at = 4
    yield int.from_bytes(text[:4], "big")
    while at < len(text):
        size = int.from_bytes(text[at : at + 4], "big")
        if at + 4 + size > len(text):
            raise Malformed("a header beyond its block")
        yield text[at + 4 : at + 4 + size]
        at += 4 + size


class Writer:
    """Values to frames; headers share one compression state, so each frame must be sent."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def reply(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """Accept a stream."""
        return _control_frame(_SYN_REPLY, stream.to_bytes(4, "big") + self._block(headers))

    def open(self, stream: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        """Open a stream, as a client does."""
        body = struct.pack(">IIH", stream, 0, 0) + self._block(headers)
        return _control_frame(_SYN_STREAM, body, _FIN if fin else 0)

    def _block(self, headers: Mapping[str, str]) -> bytes:
        words = [word.encode("latin-1") for pair in headers.items() for word in pair]
        text = len(headers).to_bytes(4, "big")
        text += b"".join(len(word).to_bytes(4, "big") + word for word in words)
        return self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def data(stream: int, content: bytes, *, fin: bool = False) -> bytes:
    """Return a data frame."""
    head = struct.pack(">IB", stream, _FIN if fin else 0) + len(content).to_bytes(3, "big")
    return head + content


def reset(stream: int) -> bytes:
    """Return a reset: status CANCEL."""
    return _control_frame(_RST_STREAM, struct.pack(">II", stream, 5))


def ping(number: int) -> bytes:
    """Return a ping, which is its own answer."""
    return _control_frame(_PING, struct.pack(">I", number))


def go_away(last: int) -> bytes:
    """Return the end of a session: status OK."""
    return _control_frame(_GO_AWAY, struct.pack(">II", last, 0))


def _control_frame(kind: int, body: bytes, flags: int = 0) -> bytes:
    head = struct.pack(">HHB", _CONTROL | _VERSION, kind, flags)
    return head + len(body).to_bytes(3, "big") + body
