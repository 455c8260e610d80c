"""SPDY/3.1: the dictionary, frames in any pieces, bounds, and a session's life."""

from __future__ import annotations

import asyncio
import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.apiserver.streaming.spdy import frames
from reconciler.apiserver.streaming.spdy.dictionary import DICTIONARY
from reconciler.apiserver.streaming.spdy.frames import (
    Data,
    GoAway,
    Malformed,
    Ping,
    Reader,
    Reset,
    SynStream,
    Writer,
)
from reconciler.apiserver.streaming.spdy.session import Session
from tests.unit.apiserver.streaming.links import Link

HEADERS = {"streamtype": "data", "port": "80", "requestid": "0"}


def test_the_dictionary_is_that_of_the_draft() -> None:
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


@given(st.lists(st.integers(1, 40), max_size=60))
def test_frames_come_whole_from_any_pieces(cuts: list[int]) -> None:
    writer = Writer()
    sent = (
        writer.open(1, HEADERS)
        + writer.open(3, {"streamtype": "error"}, fin=True)
        + frames.data(1, b"hello", fin=True)
        + frames.ping(7)
        + frames.reset(3)
        + frames.go_away(3)
    )
    reader, got, at = Reader(), [], 0
    for cut in [*cuts, len(sent)]:
        got += reader.feed(sent[at : at + cut])
        at += cut
    assert got == [
        SynStream(1, HEADERS),
        SynStream(3, {"streamtype": "error"}, fin=True),
        Data(1, b"hello", fin=True),
        Ping(7),
        Reset(3),
        GoAway(),
    ]


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        list(Reader().feed(data))


@given(st.binary(max_size=200))
def test_no_header_block_crashes_the_reader(block: bytes) -> None:
    deflate = zlib.compressobj(zdict=DICTIONARY)
    packed = deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
    body = bytes(10) + packed
    frame = b"\x80\x03\x00\x01\x00" + len(body).to_bytes(3, "big") + body
    with contextlib.suppress(Malformed):
        list(Reader().feed(frame))


def test_a_header_bomb_is_refused() -> None:
    deflate = zlib.compressobj(zdict=DICTIONARY)
    packed = deflate.compress(bytes(10_000_000)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    body = bytes(10) + packed
    frame = b"\x80\x03\x00\x01\x00" + len(body).to_bytes(3, "big") + body
    with pytest.raises(Malformed, match="more than 65536 bytes"):
        list(Reader().feed(frame))


def test_an_endless_frame_is_refused() -> None:
    with pytest.raises(Malformed, match="16777215 bytes"):
        list(Reader().feed(b"\x00\x00\x00\x01\x00\xff\xff\xff"))


async def test_a_stream_carries_bytes_both_ways_and_ends() -> None:
    link = Link()
    session = Session(link)
    running = asyncio.create_task(session.run())
    link.feed(Writer().open(1, HEADERS) + frames.data(1, b"in", fin=True))
    stream = await session.next()
    assert stream is not None
    assert stream.headers == HEADERS
    assert await stream.read() == b"in"
    assert await stream.read() == b""
    await stream.write(b"out")
    await stream.end()
    await link.until(frames.data(1, b"out") + frames.data(1, b"", fin=True))
    link.hang_up()
    await running
    assert await session.next() is None
    with pytest.raises(ConnectionError):
        await stream.write(b"late")


async def test_a_ping_is_answered_and_an_answer_is_not() -> None:
    link = Link()
    running = asyncio.create_task(Session(link).run())
    link.feed(frames.ping(2) + frames.ping(5))
    await link.until(frames.ping(5))
    assert frames.ping(2) not in link.sent
    link.hang_up()
    await running


async def test_a_reset_ends_the_stream() -> None:
    link = Link()
    session = Session(link)
    running = asyncio.create_task(session.run())
    link.feed(Writer().open(1, HEADERS) + frames.reset(1))
    stream = await session.next()
    assert stream is not None
    assert await stream.read() == b""
    link.hang_up()
    await running


async def test_a_number_used_twice_is_reset() -> None:
    link = Link()
    session = Session(link)
    running = asyncio.create_task(session.run())
    writer = Writer()
    link.feed(writer.open(3, HEADERS) + writer.open(1, HEADERS))
    await link.until(frames.reset(1))
    link.hang_up()
    await running


async def test_what_is_no_spdy_ends_the_session() -> None:
    link = Link()
    session = Session(link)
    link.feed(b"GET / HTTP/1.1\r\n\r\n")
    link.feed(b"\xff" * 64)
    await session.run()
    assert await session.next() is None
