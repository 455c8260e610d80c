"""The answer to one call over HTTP/2, frame by frame as RFC 9113 has them."""

from __future__ import annotations

import struct

import hpack
import pytest

from reconciler.kubelet.http2 import Malformed, Reply, frame, request

SETTINGS, ACKED = frame(4, 0, 0, b""), frame(4, 1, 0, b"")
HEAD = hpack.Encoder().encode([(":status", "200"), ("content-type", "application/grpc")])
TRAILERS = hpack.Encoder().encode([("grpc-status", "0"), ("grpc-message", "it is well")])
BODY = b"\0\0\0\0\2\x08\1"
WHOLE = (
    SETTINGS + frame(1, 0x4, 1, HEAD) + frame(0, 0, 1, BODY) + frame(1, 0x5, 1, TRAILERS)
)  # fmt: skip
SAID = {
    ":status": "200",
    "content-type": "application/grpc",
    "grpc-status": "0",
    "grpc-message": "it is well",
}


def read(*pieces: bytes) -> tuple[Reply, bytes]:
    reply = Reply()
    return reply, b"".join(reply.take(piece) for piece in pieces)


def test_an_answer_is_read_however_it_is_cut() -> None:
    for size in (1, 2, 7, 10, len(WHOLE)):
        reply, _ = read(*(WHOLE[at : at + size] for at in range(0, len(WHOLE), size)))
        assert reply.ended
        assert (reply.body, reply.headers()) == (BODY, SAID)


def test_each_answer_is_decoded_by_itself() -> None:
    """A server that remembers headers of its connection means those of this one."""
    for status in ("0", "7", "0"):
        encoder = hpack.Encoder()
        first = encoder.encode([("grpc-status", status)])
        again = encoder.encode([("grpc-status", status)])
        assert len(again) == 1, "the second block names the first one's entry"
        reply, _ = read(SETTINGS + frame(1, 0x4, 1, first) + frame(1, 0x5, 1, again))
        assert reply.headers() == {"grpc-status": status}


def test_settings_and_pings_are_answered_until_the_answer_is_there() -> None:
    ping = frame(6, 0, 0, b"12345678")
    assert read(SETTINGS + ping)[1] == ACKED + frame(6, 1, 0, b"12345678")
    assert read(SETTINGS + ACKED + frame(6, 1, 0, bytes(8)))[1] == ACKED
    assert read(WHOLE)[1] == b"", "who has answered is not kept waiting"


def test_padding_priority_and_continuations_are_no_content() -> None:
    reply, _ = read(
        SETTINGS,
        frame(1, 0x28, 1, b"\3" + bytes(5) + HEAD[:1] + bytes(3)),
        frame(9, 0x4, 1, HEAD[1:]),
        frame(0, 0x8, 1, b"\2" + BODY + b"\0\0"),
        frame(1, 0x1, 1, b""),
        frame(9, 0, 1, TRAILERS[:4]),
        frame(9, 0x4, 1, TRAILERS[4:]),
    )
    assert reply.ended
    assert (reply.body, reply.headers()) == (BODY, SAID)


def test_what_nobody_knows_is_passed_over() -> None:
    strange = frame(0xFE, 0xFF, 5, b"later") + frame(8, 0, 0, struct.pack(">I", 9))
    reply, _ = read(SETTINGS + strange + WHOLE[len(SETTINGS) :])
    assert reply.headers() == SAID


@pytest.mark.parametrize(
    ("last", "ended"), [(0, True), (1, False), (2**31 - 1, False), (2**31, True)]
)
def test_a_server_that_goes_still_answers_what_it_took(last: int, ended: bool) -> None:
    goaway = frame(7, 0, 0, struct.pack(">II", last, 0))
    assert read(SETTINGS + goaway)[0].ended is ended


def test_a_reset_call_has_ended_without_a_status() -> None:
    reply, _ = read(SETTINGS + frame(3, 0, 1, bytes(4)))
    assert reply.ended
    assert reply.headers() == {}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not SETTINGS"),
        (ACKED, "not SETTINGS"),
        (SETTINGS + frame(1, 0x4, 3, HEAD), "stream 3"),
        (SETTINGS + frame(0, 0, 0, BODY), "stream 0"),
        (SETTINGS + frame(9, 0x4, 1, HEAD), "does not go on"),
        (SETTINGS + frame(1, 0, 1, HEAD) + frame(6, 0, 0, bytes(8)), "does not go on"),
        (SETTINGS + frame(0, 0x8, 1, b"\5ab"), "padding"),
        (SETTINGS + frame(0, 0x8, 1, b""), "padding"),
        (SETTINGS + frame(0, 0, 1, bytes(16_385)), "16385 bytes"),
        (SETTINGS + 4 * frame(0, 0, 1, bytes(16_384)), "more than 65535"),
        (SETTINGS + frame(1, 0x5, 1, b"\xbf"), "cannot be read"),
        (SETTINGS + frame(1, 0x5, 1, b"\x40\x81\xff\x00"), "cannot be read"),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read(data)[0].headers()


def test_a_request_is_whole() -> None:
    sent = request((("te", "trailers"),), b"body")
    assert sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"\0\2" + bytes(4)))
    assert sent.endswith(frame(0, 0x1, 1, b"body"))
