"""The SDK's calls over a kept connection, against an engine of the test's own at a Unix socket."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError

from reconciler.kubelet.docker import DockerRuntime, _Client, _connect
from reconciler.kubelet.dockerversion import ApiVersion
from reconciler.kubelet.dockerwire import Call, ConnectionPool, query
from reconciler.kubelet.runtime import (
    NoSuchContainer,
    NoSuchImage,
    RuntimeConflict,
    RuntimeFailure,
    RuntimeUnavailable,
)
from tests.unit.kubelet.unixengine import NO_CONTENT, OK, Asked, Engine, failed, said, serving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docker.sock"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    with serving(path) as made:
        yield made
    gc.collect()  # a socket that was left open is told of here


@pytest.fixture
async def runtime(engine: Engine, path: Path) -> AsyncIterator[DockerRuntime]:
    made = DockerRuntime(path)
    yield made
    await made.close()


@pytest.fixture
def client(engine: Engine, path: Path) -> Iterator[_Client]:
    made = _connect(path, ApiVersion(), 5, 8)
    yield made
    made.close()


async def test_calls_in_turn_share_a_connection(engine: Engine, runtime: DockerRuntime) -> None:
    for _ in range(5):
        await runtime.ping()
    engine.answer = lambda _: NO_CONTENT
    await runtime.start("one")
    await runtime.remove("one")
    last = [(each.method, each.target) for each in engine.asked[-2:]]
    assert last == [
        ("POST", "/v1.41/containers/one/start"),
        ("DELETE", "/v1.41/containers/one?v=True&link=False&force=True"),
    ]
    assert len(engine.accepted) == 1


def test_a_body_and_headers_arrive_as_the_sdk_means_them(engine: Engine, client: _Client) -> None:
    engine.answer = lambda _: said("201 Created", {"Id": "abc"})
    made = client.create_container_from_config({"Image": "bäckerei", "Tty": None}, "one two")
    assert made == {"Id": "abc"}
    (asked,) = engine.asked
    assert asked.target == "/v1.41/containers/create?name=one+two"
    assert json.loads(asked.body) == {"Image": "bäckerei"}
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["user-agent"].startswith("docker-sdk-python/")
    assert asked.headers["accept-encoding"] == "identity"


def test_bytes_are_sent_as_they_are(engine: Engine, client: _Client) -> None:
    engine.answer = lambda _: said("200 OK", {"status": "sha256:1"})
    archive = bytes(range(256)) * 4096
    assert "sha256:1" in client.import_image_from_data(archive, "name", "1")
    (asked,) = engine.asked
    assert asked.body == archive
    assert asked.headers["content-type"] == "application/tar"


def test_what_is_unusual_goes_the_long_way(engine: Engine, client: _Client) -> None:
    engine.answer = lambda _: said("200 OK", {})
    url = f"{client.base_url}/v1.41/x"
    assert client.post(url, data=BytesIO(b"a file"), timeout=5).status_code == 200
    assert engine.asked[-1].body == b"a file"
    assert client.get(url, params=[("a", "1")], timeout=(1, 5)).status_code == 200
    assert engine.asked[-1].target == "/v1.41/x?a=1"
    assert client.get(url, headers={"User-Agent": None}, timeout=5).status_code == 200
    assert "docker-sdk" not in engine.asked[-1].headers["user-agent"]


def test_a_stream_is_read_as_it_comes(engine: Engine, client: _Client) -> None:
    read = threading.Event()

    def events(_: Asked) -> bytes:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        engine.accepted[-1].sendall(head + b'8\r\n{"Id":1}\r\n')
        assert read.wait(10)
        return b"0\r\n\r\n"

    engine.answer = events
    stream = client.events(decode=True)
    assert next(stream) == {"Id": 1}
    read.set()
    assert list(stream) == []


def test_a_redirect_is_followed(engine: Engine, client: _Client) -> None:
    moved = said("301 Moved Permanently", None, "Location: /v1.41/images/a/json")
    engine.answer = lambda asked: moved if "//" in asked.target else said("200 OK", {"Id": "a"})
    assert client.inspect_image("a//") == {"Id": "a"}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"all": 1, "v": True, "none": None, "text": "a b&c=d/ü~"},
        {"many": ["a", None, 2], "pair": ("x", "y"), "empty": [], "bytes": b"\xff"},
        {"filters": json.dumps({"label": ["a=b"]}), "since": 1.5},
    ],
)
def test_a_query_is_what_requests_makes_of_it(params: dict[str, Any]) -> None:
    prepared = requests.Request("GET", "http://host/path", params=params).prepare()
    assert f"/path{query(params)}" == prepared.path_url


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (failed("404 Not Found", "No such container: x"), NoSuchContainer),
        (failed("404 Not Found", "No such image: x:latest"), NoSuchImage),
        (failed("409 Conflict", "removal is in progress"), RuntimeConflict),
        (failed("500 Internal Server Error", "it is unwell"), RuntimeFailure),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nit is poor", RuntimeFailure),
    ],
)
async def test_a_refusal_is_told_in_the_engines_words(
    engine: Engine, runtime: DockerRuntime, answer: bytes, expected: type[RuntimeFailure]
) -> None:
    engine.answer = lambda _: answer
    with pytest.raises(RuntimeFailure) as caught:
        await runtime.start("x")
    assert type(caught.value) is expected
    assert str(caught.value).encode() in answer
    engine.answer = lambda _: OK
    await runtime.ping()
    assert len(engine.accepted) == 1, "a refusal is an answer like another"


def test_an_error_names_the_call(engine: Engine, client: _Client) -> None:
    engine.answer = lambda _: failed("404 Not Found", "No such container: x")
    with pytest.raises(APIError) as caught:
        client.kill("x", "SIGTERM")
    assert str(caught.value) == (
        "404 Client Error for http+docker://localhost/v1.41/containers/x/kill?signal=SIGTERM:"
        ' Not Found ("No such container: x")'
    )


async def test_another_version_is_spoken(engine: Engine, runtime: DockerRuntime) -> None:
    words = "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade"
    engine.answer = lambda asked: (
        OK if asked.target.startswith("/v1.44/") else failed("400 Bad Request", words)
    )
    await runtime.ping()
    assert [each.target for each in engine.asked] == ["/v1.41/_ping", "/v1.44/_ping"]


def test_a_body_in_chunks(engine: Engine, client: _Client) -> None:
    pieces = b'7\r\n{"Id": \r\n5;ext=1\r\n"abc"\r\n1\r\n}\r\n0\r\n\r\n'
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    engine.answer = lambda _: head + pieces
    assert client.inspect_image("a") == {"Id": "abc"}
    assert client.inspect_image("a") == {"Id": "abc"}
    assert len(engine.accepted) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\n{"Id":1}',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"Id":1}',
        b'HTTP/1.0 200 OK\r\n\r\n{"Id":1}',
    ],
)
def test_an_answer_that_ends_with_its_connection(
    engine: Engine, client: _Client, answer: bytes
) -> None:
    engine.answer, engine.ends = lambda _: answer, True
    assert [client.inspect_image("a") for _ in range(3)] == [{"Id": 1}] * 3
    assert [each.connection for each in engine.asked] == [1, 2, 3]


async def test_a_kept_connection_that_the_engine_closed(
    engine: Engine, runtime: DockerRuntime
) -> None:
    await runtime.ping()
    engine.cut()
    engine.answer = lambda _: NO_CONTENT
    await runtime.start("one")
    assert [(each.method, each.connection) for each in engine.asked] == [("GET", 1), ("POST", 2)]


def test_what_nobody_asked_for_is_nobodys_answer(engine: Engine, client: _Client) -> None:
    client.ping()
    engine.accepted[0].sendall(failed("500 Internal Server Error", "late"))
    assert client.ping()
    assert [each.connection for each in engine.asked] == [1, 2]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 2",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"Id"',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnumber\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/3 200 OK\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    ],
)
async def test_an_answer_that_breaks_off_or_is_none(
    engine: Engine, runtime: DockerRuntime, answer: bytes | None
) -> None:
    engine.answer, engine.ends = lambda _: answer, True
    with pytest.raises(RuntimeUnavailable, match="Docker does not answer"):
        await runtime.start("one")
    assert [each.method for each in engine.asked] == ["POST"], "it may have happened: not again"
    engine.answer, engine.ends = lambda _: OK, False
    await runtime.ping()
    assert engine.asked[-1].connection == 2


def test_an_answer_cut_short_is_no_refused_connection(engine: Engine, client: _Client) -> None:
    engine.answer, engine.ends = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", True
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.ping()


def test_an_answer_to_the_head_alone_is_heard(tmp_path: Path) -> None:
    """Who answers and closes before the body is there need not take it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "sock"))
    listener.listen()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as reader:
            while reader.readline().strip():
                pass
            connection.sendall(failed("409 Conflict", "too large"))

    client = _connect(tmp_path / "sock", ApiVersion(), 5, 8)
    with listener, ThreadPoolExecutor() as threads:
        done = threads.submit(answer)
        with pytest.raises(APIError, match="too large"):
            client.import_image_from_data(bytes(8 * 1024 * 1024), "name", "1")
        done.result()
    client.close()


async def test_no_engine(tmp_path: Path) -> None:
    runtime = DockerRuntime(tmp_path / "none.sock")
    with pytest.raises(RuntimeUnavailable, match="No such file"):
        await runtime.ping()
    with socket.socket(socket.AF_UNIX) as nobody_listens:
        nobody_listens.bind(str(tmp_path / "none.sock"))
        with pytest.raises(RuntimeUnavailable, match="refused"):
            await runtime.ping()
    await runtime.close()


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
def test_a_time_out_gives_up_its_connection(engine: Engine, path: Path, begin: bytes) -> None:
    client = _connect(path, ApiVersion(), 5, 8)
    assert client.ping()
    ended = threading.Event()

    def late(_: Asked) -> bytes:
        engine.accepted[-1].sendall(begin)
        ended.wait(10)
        return b"late"

    engine.answer = late
    client.timeout = 0.05  # type: ignore[assignment]
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.ping()
    ended.set()
    engine.wait_for_open(0)
    engine.answer, client.timeout = lambda _: OK, 5
    assert client.ping()
    assert [each.connection for each in engine.asked] == [1, 1, 2]
    client.close()


async def test_an_engine_that_is_silent(engine: Engine, runtime: DockerRuntime) -> None:
    goes_on = threading.Event()
    engine.answer = lambda _: OK if goes_on.wait(10) else None
    runtime._client.timeout = 0.05  # type: ignore[assignment]
    with pytest.raises(RuntimeUnavailable, match="timed out"):
        await runtime.start("one")
    goes_on.set()
    assert len(engine.asked) == 1


def test_each_call_has_its_own_time_out(engine: Engine, client: _Client) -> None:
    waited = threading.Event()
    engine.answer = lambda asked: OK if waited.wait(0.2) else said("200 OK", {"StatusCode": 0})
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.wait("one", timeout=0.05)
    client.timeout = 0.05  # type: ignore[assignment]
    assert client.post(f"{client.base_url}/v1.41/x", timeout=None).json() == {"StatusCode": 0}
    assert client.wait("one", timeout=5) == {"StatusCode": 0}
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.ping()


def test_a_header_that_cannot_be_sent(engine: Engine, client: _Client) -> None:
    url = f"{client.base_url}/v1.41/x"
    for value in ("a\r\nb: c", "\N{SNOWMAN}"):
        with pytest.raises(requests.exceptions.InvalidHeader):
            client.get(url, headers={"X": value}, timeout=5)
    engine.wait_for_open(0)
    assert engine.asked == []


def test_calls_at_the_same_time_have_a_connection_each(engine: Engine, client: _Client) -> None:
    together = threading.Barrier(8)

    def answer(asked: Asked) -> bytes:
        together.wait(10)
        return said("200 OK", {"Id": asked.target})

    engine.answer = answer
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            names = [f"image{number}" for number in range(8)]
            found = list(threads.map(client.inspect_image, names))
            assert found == [{"Id": f"/v1.41/images/{name}/json"} for name in names]
    assert len(engine.accepted) == 8


def test_no_more_are_kept_than_asked_for(engine: Engine, path: Path) -> None:
    together = threading.Barrier(4)
    engine.answer = lambda _: OK if together.wait(10) >= 0 else None
    pool = ConnectionPool(path, 1)
    with ThreadPoolExecutor(4) as threads:
        ping = Call("GET", "/_ping", {}, None, 5)
        calls = [threads.submit(pool.request, ping) for _ in range(4)]
        assert {call.result().text for call in calls} == {"OK"}
    engine.wait_for_open(1)
    pool.close()
    engine.wait_for_open(0)


async def test_all_are_closed_with_the_runtime(engine: Engine, path: Path) -> None:
    runtime = DockerRuntime(path)
    asked, goes_on = threading.Event(), threading.Event()
    await runtime.ping()

    def late(_: Asked) -> bytes:
        asked.set()
        goes_on.wait(10)
        return OK

    engine.answer = late
    call = asyncio.create_task(runtime.ping())
    await asyncio.to_thread(asked.wait, 10)
    await runtime.close()
    goes_on.set()
    await call
    await asyncio.to_thread(engine.wait_for_open, 0)
