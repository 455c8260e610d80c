"""One unary call over a connection of HTTP/2 of its own (RFC 9113): what a gRPC probe needs of it.

Called by `grpcprobe.py`. No I/O: `request` is what to send, `Reply` takes what comes back. A call
that is made every second is the same bytes each time, and so is most of its answer; so there is no
state machine of a connection, and header blocks that are known are not decoded again. Window
updates are not sent: an answer that fills the first window is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache

import hpack

from reconciler.core.errors import ReconcilerError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_STREAM = 1
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_ACK = _END_STREAM = 0x1
_END_HEADERS, _PADDED, _PRIORITY = 0x4, 0x8, 0x20
_OF_THE_CALL = frozenset((_DATA, _HEADERS, _RST_STREAM, _CONTINUATION))
_FRAME = struct.Struct(">HBBBI")
_LONGEST_FRAME = 16 * 1024
_LONGEST_REPLY = 65_535
_PRIORITY_BYTES = 5
# SETTINGS_ENABLE_PUSH = 0: nothing that was not asked for.
_NO_PUSH = struct.pack(">HI", 2, 0)

Headers = tuple[tuple[str, str], ...]


class Malformed(ReconcilerError):
    """The peer does not speak HTTP/2, or more of it than an answer may be."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one frame of section 4.1."""
    length = len(payload)
    return _FRAME.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def request(headers: Headers, body: bytes) -> bytes:
    """Return all that a client sends: preface, settings, one request with its body and end."""
    return b"".join(
        (
            _PREFACE,
            frame(_SETTINGS, 0, 0, _NO_PUSH),
            frame(_HEADERS, _END_HEADERS, _STREAM, hpack.Encoder().encode(headers)),
            frame(_DATA, _END_STREAM, _STREAM, body),
        )
    )


@dataclass(slots=True)
class Reply:
    """The answer to the one request: its body, and its header blocks in the order of arrival."""

    body: bytes = b""
    blocks: list[bytes] = field(default_factory=list)
    ended: bool = False
    _unread: bytes = b""
    _received: int = 0
    _greeted: bool = False
    _block: bytes | None = None
    _last_block: bool = False

    def take(self, data: bytes) -> bytes:
        """Read on; return what the peer wants to hear before it goes on. Raises `Malformed`."""
        self._received += len(data)
        if self._received > _LONGEST_REPLY:
            raise Malformed(f"the answer has more than {_LONGEST_REPLY} bytes")
        buffer, at, owed = self._unread + data, 0, b""
        while not self.ended and len(buffer) - at >= _FRAME.size:
            high, low, kind, flags, stream = _FRAME.unpack_from(buffer, at)
            start, end = at + _FRAME.size, at + _FRAME.size + (high << 8 | low)
            self._check(kind, flags, stream, end - start)
            if len(buffer) < end:
                break
            owed += self._frame(kind, flags, buffer[start:end])
            at = end
        self._unread = buffer[at:]
        return b"" if self.ended else owed

    def headers(self) -> dict[str, str]:
        """Return the headers and trailers, a later one in place of an earlier; see `take`."""
        return dict(_decoded(tuple(self.blocks)))

    def _check(self, kind: int, flags: int, stream: int, length: int) -> None:
        if not self._greeted and (kind != _SETTINGS or flags & _ACK):
            raise Malformed("the first frame is not SETTINGS")
        if length > _LONGEST_FRAME:
            raise Malformed(f"a frame of {length} bytes")
        if kind in _OF_THE_CALL and stream & 0x7FFFFFFF != _STREAM:
            raise Malformed(f"a frame of stream {stream & 0x7FFFFFFF}, which nobody opened")
        if (kind == _CONTINUATION) is (self._block is None):
            raise Malformed("a header block that does not go on")
        self._greeted = True

    def _frame(self, kind: int, flags: int, payload: bytes) -> bytes:
        if kind == _SETTINGS and not flags & _ACK:
            return frame(_SETTINGS, _ACK, 0, b"")
        if kind == _PING and not flags & _ACK:
            return frame(_PING, _ACK, 0, payload)
        if kind == _DATA:
            self.body += _unpadded(flags, payload)
            self.ended = bool(flags & _END_STREAM)
        elif kind in (_HEADERS, _CONTINUATION):
            self._head(kind, flags, payload)
        elif kind == _RST_STREAM or (kind == _GOAWAY and not _will_answer(payload)):
            self.ended = True
        return b""

    def _head(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _HEADERS:
            self._last_block = bool(flags & _END_STREAM)
            payload = _unpadded(flags, payload)[_PRIORITY_BYTES if flags & _PRIORITY else 0 :]
        block = (self._block or b"") + payload
        if not flags & _END_HEADERS:
            self._block = block
            return
        self.blocks.append(block)
        self._block, self.ended = None, self._last_block


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Malformed("more padding than there is of the frame")
    return payload[1 : len(payload) - payload[0]]


def _will_answer(goaway: bytes) -> bool:
    """Section 6.8: a peer that goes still answers the streams up to the one it names."""
    return int.from_bytes(goaway[:4], "big") & 0x7FFFFFFF >= _STREAM


@lru_cache(maxsize=256)
def _decoded(blocks: tuple[bytes, ...]) -> Headers:
    """Return the headers of a connection's only blocks, which by that mean the same each time."""
    decoder = hpack.Decoder()
    try:
        return tuple(
            (str(name), str(value)) for block in blocks for name, value in decoder.decode(block)
        )
    except (hpack.HPACKError, UnicodeDecodeError) as error:
        raise Malformed(f"headers that cannot be read: {error}") from error
