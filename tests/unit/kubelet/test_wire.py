"""The probes' connections against real sockets: many at once, slow, refused, named, given up."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

import pytest

from reconciler.kubelet.wire import TooLate, Wire

HERE = "127.0.0.1"


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    made = Wire()
    yield made
    made.close()


def soon() -> float:
    return asyncio.get_running_loop().time() + 10


def at_once() -> float:
    return asyncio.get_running_loop().time() + 0.1


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """Answer with what was sent, and close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, HERE, 0, limit=2**22) as server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def deaf() -> Iterator[int]:
    """Yield a port that takes connections into its queue and never reads; then none any more."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.bind((HERE, 0))
        made.listen(0)
        yield made.getsockname()[1]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count


async def asked(wire: Wire, host: str, port: int, words: bytes) -> bytes:
    by = soon()
    connected = await wire.connect(host, port, by)
    try:
        await wire.send(connected, words, by)
        heard = b""
        while more := await wire.receive(connected, by):
            heard += more
        return heard
    finally:
        connected.close()


async def test_many_at_once_each_get_their_own_answer(wire: Wire) -> None:
    async with echoing() as port:
        words = [f"number {number}\n".encode() for number in range(300)]
        assert await asyncio.gather(*(asked(wire, HERE, port, each) for each in words)) == words


async def test_an_answer_in_pieces_is_read_in_one() -> None:
    with closing(Wire(gathered=0.3)) as wire, socket.create_server((HERE, 0)) as server:
        by = soon()
        with await wire.connect(*server.getsockname(), by) as connected, server.accept()[0] as peer:
            heard = asyncio.ensure_future(wire.receive(connected, by))
            for piece in (b"SETTINGS ", b"HEADERS ", b"DATA"):
                peer.send(piece)
                await turns(5)
            assert await heard == b"SETTINGS HEADERS DATA"


async def test_more_than_a_socket_holds_is_sent_and_received(wire: Wire) -> None:
    async with echoing() as port:
        words = b"x" * 2**21 + b"\n"
        assert await asked(wire, HERE, port, words) == words


async def test_a_name_is_looked_up(wire: Wire) -> None:
    async with echoing() as port:
        assert await asked(wire, "localhost", port, b"hello\n") == b"hello\n"


async def test_a_closed_port_is_told_at_once(wire: Wire) -> None:
    with deaf() as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        await wire.connect(HERE, port, soon())


async def test_who_neither_answers_nor_reads_nor_accepts_has_its_time(wire: Wire) -> None:
    with deaf() as port:
        first = await wire.connect(HERE, port, soon())
        with pytest.raises(TooLate):
            await wire.receive(first, at_once())
        with pytest.raises(TooLate):
            await wire.send(first, b"x" * 2**24, at_once())
        more = [wire.connect(HERE, port, at_once()) for _ in range(4)]
        ends = await asyncio.gather(*more, return_exceptions=True)
        assert any(isinstance(end, TooLate) for end in ends), "the queue is full: no hand is shaken"
        for each in (first, *ends):
            if isinstance(each, socket.socket):
                each.close()


async def test_nothing_stays_open_of_what_failed_or_was_given_up(wire: Wire) -> None:
    async with echoing() as port:
        await asked(wire, HERE, port, b"hello\n")  # whatever is opened once, is open now
        with deaf() as silent:
            before = descriptors()
            waiting = [
                asyncio.ensure_future(asked(wire, HERE, silent, b"hello\n")) for _ in range(20)
            ]
            await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert descriptors() == before
        assert await asked(wire, HERE, port, b"hello\n") == b"hello\n"


async def test_a_wait_that_outlives_the_wire_ends_all_the_same() -> None:
    wire = Wire()
    with deaf() as port:
        waiting = asyncio.ensure_future(asked(wire, HERE, port, b"hello\n"))
        await asyncio.sleep(0)
        wire.close()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
