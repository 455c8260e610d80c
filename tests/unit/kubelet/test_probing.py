"""Single tries of probes against real sockets, and the counting of tries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core.clock import SystemClock
from reconciler.kubelet.fake import FakeRuntime
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.prober import _Tally
from reconciler.kubelet.probing import ProbeErrored, ProbeFailed, attempt, port_number
from reconciler.kubelet.runtime import Container as RuntimeContainer
from reconciler.kubelet.runtime import ContainerSpec
from reconciler.kubelet.wire import Wire
from reconciler.model.container import Container
from reconciler.model.probe import Probe

HERE = "127.0.0.1"


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answer the requests in turn, the last answer for ever; b"" never answers."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            answer = answers[min(len(asked), len(answers)) - 1]
            writer.write(answer)
            if not answer:
                await reader.read()
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()
            await writer.wait_closed()

    serving: list[asyncio.Task[Any]] = []
    made = await asyncio.start_server(serve, HERE, 0)
    try:
        yield made.sockets[0].getsockname()[1], asked
    finally:
        made.close()
        await asyncio.sleep(0)
        await asyncio.gather(*serving, return_exceptions=True)


def status(code: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} Words", "Content-Length: 0", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def http(port: int, **action: Any) -> None:
    probe = {"httpGet": {"port": port, **action}, "timeoutSeconds": 1}
    await tried(probe)


ABSENT = PodContainer(RuntimeContainer("id", "app", "running", {}, "i", "", datetime.now(UTC)))


async def tried(probe: dict[str, Any], container: dict[str, Any] | None = None) -> None:
    given = {"name": "app", **(container or {})}
    with closing(Wire()) as wire:
        await attempt(
            Probe.model_validate_json(json.dumps(probe)),
            Container.model_validate_json(json.dumps(given)),
            ABSENT,
            HERE,
            FakeRuntime(SystemClock()),
            wire,
        )


@pytest.mark.parametrize("code", [200, 204, 301, 399])
async def test_an_answer_from_200_to_399_is_success(code: int) -> None:
    async with server(status(code)) as (port, _):
        await http(port)


@pytest.mark.parametrize("code", [100, 199, 400, 404, 500, 503])
async def test_any_other_answer_is_a_failure(code: int) -> None:
    async with server(status(code)) as (port, _):
        with pytest.raises(ProbeFailed, match=f"HTTP probe failed with statuscode: {code}"):
            await http(port)


async def test_path_headers_and_agent_are_sent() -> None:
    async with server(status(200)) as (port, asked):
        headers = [{"name": "X-A", "value": "b"}, {"name": "Host", "value": "me"}]
        await http(port, path="healthz?full=1", httpHeaders=headers)
    lines = asked[0].decode().split("\r\n")
    assert lines[0] == "GET /healthz?full=1 HTTP/1.1"
    assert "X-A: b" in lines
    assert "Host: me" in lines
    assert len([line for line in lines if line.startswith("Host: ")]) == 1
    assert any(line.startswith("User-Agent: kube-probe/") for line in lines)


async def test_a_header_is_sent_as_often_as_it_is_given_and_replaces_the_standard_one() -> None:
    async with server(status(200)) as (port, asked):
        given = [("X-A", "1"), ("x-a", "2"), ("user-agent", "mine")]
        await http(port, httpHeaders=[{"name": name, "value": value} for name, value in given])
    lines = asked[0].decode().split("\r\n")
    assert {"X-A: 1", "x-a: 2", "user-agent: mine"} <= set(lines)
    assert not [line for line in lines if "kube-probe" in line]


@pytest.mark.parametrize("code", [300, 304, 305])
async def test_an_answer_that_only_points_elsewhere_is_no_redirect(code: int) -> None:
    async with server(status(code, "Location: /ready"), status(500)) as (port, asked):
        await http(port)
    assert len(asked) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_same_host_is_followed(code: int) -> None:
    async with server(status(code, "Location: /ready"), status(500)) as (port, asked):
        with pytest.raises(ProbeFailed, match="500"):
            await http(port)
    assert asked[1].startswith(b"GET /ready ")


async def test_a_redirect_to_another_host_is_success() -> None:
    async with server(status(302, "Location: http://example.invalid/")) as (port, asked):
        await http(port)
    assert len(asked) == 1


async def test_redirects_in_a_circle_end() -> None:
    async with server(status(302, "Location: /")) as (port, asked):
        with pytest.raises(ProbeFailed, match="stopped after 10 redirects"):
            await http(port)
    assert len(asked) == 10


async def test_a_silent_server_times_out() -> None:
    async with server(b"") as (port, _):
        with pytest.raises(ProbeFailed, match="context deadline exceeded"):
            await http(port)


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 x y\r\n\r\n"])
async def test_nonsense_is_a_failure(answer: bytes) -> None:
    async with server(answer) as (port, _):
        with pytest.raises(ProbeFailed, match=r"malformed|EOF"):
            await http(port)


async def test_tcp_asks_only_for_a_connection() -> None:
    async with server(b"") as (port, _):
        await tried({"tcpSocket": {"port": port}})
    with pytest.raises(ProbeFailed, match=f"dial tcp {HERE}:{port}: connect: "):
        await tried({"tcpSocket": {"port": port}})
    with pytest.raises(ProbeFailed, match=f'Get "http://{HERE}:{port}/": dial tcp'):
        await http(port)


async def test_a_port_may_be_named() -> None:
    async with server(status(200)) as (port, _):
        named = {"ports": [{"name": "web", "containerPort": port}]}
        await tried({"httpGet": {"port": "web"}}, named)
    assert port_number("80", Container(name="a")) == 80
    with pytest.raises(ProbeFailed, match='couldn\'t find port with name "nope"'):
        port_number("nope", Container(name="a"))


async def test_exec_runs_in_the_container() -> None:
    runtime = FakeRuntime(SystemClock(), ("i",))
    made = await runtime.create(ContainerSpec("n", "i"))
    await runtime.start(made)
    found = await runtime.inspect(made)

    async def run(*command: str) -> None:
        probe = Probe.model_validate_json(json.dumps({"exec": {"command": command}}))
        await attempt(probe, Container(name="a"), PodContainer(found), "", runtime, Wire())

    await run("true")
    with pytest.raises(ProbeFailed):
        await run("false")
    with pytest.raises(ProbeFailed, match='command "sleep 5" timed out'):
        await run("sleep", "5")
    await runtime.remove(made)
    with pytest.raises(ProbeErrored, match="No such container"):
        await run("true")


def verdicts(tally: _Tally, *tries: bool, every: float = 10) -> list[bool | None]:
    return [tally.count(failed=not good, now=every * n) for n, good in enumerate(tries)]


def test_readiness_needs_its_thresholds_in_a_row() -> None:
    probe = Probe(failure_threshold=2, success_threshold=2, period_seconds=10)
    tally = _Tally("Readiness", probe)
    assert verdicts(tally, True, False, True, True, False, True, False, False) == [
        *(None, None, None, True, None, None, None, False)
    ]


def test_liveness_is_assumed_until_it_fails() -> None:
    tally = _Tally("Liveness", Probe(failure_threshold=3, period_seconds=10))
    assert verdicts(tally, True, False, False, True, False, False, False) == [
        *(None, None, None, None, None, None, False)
    ]


def test_eager_tries_before_the_first_success_are_not_counted() -> None:
    tally = _Tally("Readiness", Probe(failure_threshold=1, period_seconds=10))
    assert tally.count(failed=True, now=0) is False
    assert tally.counted
    assert tally.pause(0) < 0.1
    for moment in (0.1, 1, 9):
        assert tally.count(failed=True, now=moment) is None
        assert not tally.counted
    assert tally.count(failed=False, now=9.5) is True
    assert tally.pause(9.5) == 10


def test_exec_probes_and_liveness_keep_to_their_period() -> None:
    command = Probe.model_validate_json(b'{"exec":{"command":["x"]},"periodSeconds":7}')
    assert _Tally("Readiness", command).pause(0) == 7
    assert _Tally("Liveness", Probe(period_seconds=7)).pause(0) == 7
