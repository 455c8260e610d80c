"""Calls of the engine over a socket where a test answers: good, refusing, cut short, silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from reconciler.kubelet.dockerhttp import EngineHttp
from reconciler.kubelet.dockerversion import ApiVersion
from reconciler.kubelet.runtime import (
    NoSuchContainer,
    NoSuchImage,
    RuntimeConflict,
    RuntimeFailure,
    RuntimeUnavailable,
)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def engine(tmp_path: Path, serve: Serve) -> AsyncIterator[Path]:
    path, serving = tmp_path / "docker.sock", set()

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async with await asyncio.start_unix_server(closing, path):
        yield path
    await asyncio.gather(*serving)


def saying(*pieces: bytes) -> Serve:
    """Answer so, piece by piece, and close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return serve


def words(message: str) -> bytes:
    return json.dumps({"message": message}).encode()


async def test_a_call_is_sent_whole_and_its_answer_put_together(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        heard.append(await reader.readexactly(10))
        for piece in (b"HTTP/1.0 201 Cre", b"ated\r\nA: b\r\n\r", b'\n{"Id"', b': "x"}'):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async with engine(tmp_path, serve) as path:
        http = EngineHttp(path, ApiVersion(), 5)
        assert await http.ask("POST", "/containers/create", {"A": "b"}, name="a b") == {"Id": "x"}
    assert heard[0].startswith(b"POST /v1.41/containers/create?name=a+b HTTP/1.0\r\n")
    assert json.loads(heard[1]) == {"A": "b"}


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_nothing_to_say_and_nothing_to_do_are_success(tmp_path: Path, status: str) -> None:
    async with engine(tmp_path, saying(f"HTTP/1.0 {status}\r\n\r\n".encode())) as path:
        assert await EngineHttp(path, ApiVersion(), 5).ask("POST", "/containers/x/start") is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (404, words("No such container: x"), NoSuchContainer, "No such container: x"),
        (404, words("No such image: x"), NoSuchImage, "No such image: x"),
        (409, words("name is in use"), RuntimeConflict, "name is in use"),
        (400, words("No command specified"), RuntimeFailure, "No command specified"),
        (500, b"out of order\n", RuntimeFailure, "out of order"),
    ],
)
async def test_a_refusal_is_told_in_the_engines_words(
    tmp_path: Path, status: int, body: bytes, kind: type[RuntimeFailure], said: str
) -> None:
    answer = f"HTTP/1.0 {status} Words\r\n\r\n".encode() + body
    async with engine(tmp_path, saying(answer)) as path:
        with pytest.raises(RuntimeFailure) as caught:
            await EngineHttp(path, ApiVersion(), 5).ask("GET", "/x")
    assert (type(caught.value), str(caught.value)) == (kind, said)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.0 200", b'HTTP/1.0 200 OK\r\n\r\n{"Id": "cut sho'],
)
async def test_an_answer_that_is_none_leaves_open_what_happened(
    tmp_path: Path, answer: bytes
) -> None:
    async with engine(tmp_path, saying(answer)) as path:
        with pytest.raises(RuntimeUnavailable):
            await EngineHttp(path, ApiVersion(), 5).ask("POST", "/x")


async def test_an_engine_that_wants_another_version_is_asked_again_in_it(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        old = words("client version 1.41 is too old. Minimum supported API version is 1.44")
        refused = b"HTTP/1.0 400 Bad Request\r\n\r\n" + old
        writer.write(refused if b"1.41" in asked[-1] else b"HTTP/1.0 200 OK\r\n\r\n{}")

    async with engine(tmp_path, serve) as path:
        http = EngineHttp(path, ApiVersion(), 5)
        assert [await http.ask("GET", "/x"), await http.ask("GET", "/x")] == [{}, {}]
    assert asked == [b"/v1.41/x", b"/v1.44/x", b"/v1.44/x"]


async def test_who_speaks_something_else_is_told(tmp_path: Path) -> None:
    async with engine(tmp_path, saying(b"nonsense\r\n\r\n")) as path:
        with pytest.raises(RuntimeFailure, match="does not answer in HTTP"):
            await EngineHttp(path, ApiVersion(), 5).ask("POST", "/x")


async def test_who_is_not_there_or_silent_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="does not answer"):
        await EngineHttp(tmp_path / "none", ApiVersion(), 5).ask("GET", "/x")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with engine(tmp_path, silent) as path:
        with pytest.raises(RuntimeUnavailable, match="in time"):
            await EngineHttp(path, ApiVersion(), 0.1).ask("GET", "/x")


async def test_no_more_calls_than_allowed_are_under_way(tmp_path: Path) -> None:
    now, most = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.01)
        now -= 1
        writer.write(b"HTTP/1.0 204 No Content\r\n\r\n")

    async with engine(tmp_path, serve) as path:
        http = EngineHttp(path, ApiVersion(), 5, parallel=3)
        await asyncio.gather(*(http.ask("POST", "/x") for _ in range(20)))
    assert most == 3
