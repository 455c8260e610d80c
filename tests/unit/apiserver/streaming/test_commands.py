"""exec and attach without a node: what is asked, over which protocol, and how it ends."""

from __future__ import annotations

import asyncio
import json

import pytest
from wsproto.events import BytesMessage

from reconciler.apiserver.http.message import Request, Upgrade
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.streaming import commands
from reconciler.apiserver.streaming.spdy import frames
from reconciler.model.streaming import Command, Output, Size, StreamFailure, Terminal
from tests.unit.apiserver.streaming.links import Link
from tests.unit.apiserver.streaming.test_websocket import Client, handshake


class Echo:
    """A terminal that gives back its input and ends with its input; 5 is its exit code."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.sizes: list[Size] = []
        self.closed = False
        self.resized = asyncio.Event()

    async def read(self) -> tuple[Output, bytes] | None:
        data = await self._queue.get()
        return ("stdout", data) if data else None

    async def write(self, data: bytes) -> None:
        self._queue.put_nowait(data)

    async def end_input(self) -> None:
        self._queue.put_nowait(b"")

    async def resize(self, size: Size) -> None:
        self.sizes.append(size)
        self.resized.set()

    async def exit_code(self) -> int:
        return 5

    async def close(self) -> None:
        self.closed = True


ECHO = Command(("cat",), stdin=True, stdout=True, stderr=True)
FAILED = {
    "metadata": {},
    "status": "Failure",
    "message": "command terminated with non-zero exit code: exit status 5",
    "reason": "NonZeroExitCode",
    "details": {"causes": [{"reason": "ExitCode", "message": "5"}]},
}


def opening(terminal: Terminal) -> commands.Open:
    async def open_() -> Terminal:
        return terminal

    return open_


def test_what_is_asked() -> None:
    asked = Request("POST", "/", {"command": ["a", "b"], "stdout": ["true"], "tty": ["0"]}, {})
    assert commands.command_of(asked, attach=False) == Command(("a", "b"), stdout=True)
    attached = commands.command_of(Request("POST", "/", {}, {}), attach=True)
    assert attached == Command(stdout=True, stderr=True)


@pytest.mark.parametrize("query", [{"command": ["a"]}, {"stdin": ["1"]}, {}])
def test_too_little_is_refused(query: dict[str, list[str]]) -> None:
    with pytest.raises(StatusError) as error:
        commands.command_of(Request("POST", "/", query, {}), attach=False)
    assert error.value.code == 400


def test_without_an_upgrade_it_is_refused() -> None:
    with pytest.raises(StatusError, match="Upgrade request required"):
        commands.upgrade(Request("POST", "/", {}, {}), ECHO, opening(Echo()))


def test_protocols_that_nobody_knows_are_refused() -> None:
    with pytest.raises(StatusError) as error:
        commands.upgrade(handshake(**{"sec-websocket-protocol": "x"}), ECHO, opening(Echo()))
    assert error.value.code == 403


async def serve(answer: Upgrade, link: Link) -> None:
    async with asyncio.timeout(5):
        await answer.serve(link)


async def test_a_websocket_v5_closes_input_and_tells_the_exit_code() -> None:
    client, terminal = Client(), Echo()
    request = handshake(**{"sec-websocket-protocol": "v5.channel.k8s.io"})
    running = asyncio.create_task(
        serve(commands.upgrade(request, ECHO, opening(terminal)), client.link)
    )
    client.send(BytesMessage(b"\x00hello"))
    client.send(BytesMessage(b"\xff\x00"))
    await running
    sent = [event.data for event in client.got() if isinstance(event, BytesMessage)]
    assert sent[:4] == [b"\x01", b"\x02", b"\x03", b"\x01hello"]
    assert sent[4][:1] == b"\x03"
    assert json.loads(sent[4][1:]) == FAILED
    assert terminal.closed


async def test_the_oldest_protocol_tells_the_message_alone() -> None:
    client = Client()
    request = handshake(**{"sec-websocket-protocol": "channel.k8s.io"})

    async def fails() -> Terminal:
        raise StreamFailure("no such container")

    await serve(commands.upgrade(request, ECHO, fails), client.link)
    sent = [event.data for event in client.got() if isinstance(event, BytesMessage)]
    assert sent[-1] == b"\x03no such container"


async def test_a_caller_that_goes_ends_the_terminal() -> None:
    client, terminal = Client(), Echo()
    request = handshake(**{"sec-websocket-protocol": "v4.channel.k8s.io"})
    running = asyncio.create_task(
        serve(commands.upgrade(request, ECHO, opening(terminal)), client.link)
    )
    client.send(BytesMessage(b"\x00hello"))
    await client.link.until(b"hello")
    client.link.hang_up()
    await running
    assert terminal.closed


async def test_spdy_sends_the_outcome_on_the_error_stream() -> None:
    link, terminal = Link(), Echo()
    headers = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}
    headers["x-stream-protocol-version"] = "v4.channel.k8s.io,channel.k8s.io"
    terminal_command = Command(("sh",), stdin=True, stdout=True, stderr=True, tty=True)
    answer = commands.upgrade(
        Request("POST", "/", {}, headers), terminal_command, opening(terminal)
    )
    assert ("X-Stream-Protocol-Version", "v4.channel.k8s.io") in answer.headers
    running = asyncio.create_task(serve(answer, link))
    writer = frames.Writer()
    for number, name in enumerate(("error", "stdin", "stdout", "resize")):
        link.feed(writer.open(2 * number + 1, {"streamtype": name}))
    link.feed(frames.data(7, b'{"Width":80,"Height":24}\n'))
    link.feed(frames.data(3, b"typed"))
    await link.until(frames.data(5, b"typed"))
    await terminal.resized.wait()
    link.feed(frames.data(3, b"", fin=True))
    await running
    assert terminal.sizes == [Size(80, 24)]
    assert frames.data(1, json.dumps(FAILED).encode()) in link.sent
    assert bytes(link.sent).endswith(frames.data(1, b"", fin=True) + frames.go_away(7))


async def test_spdy_streams_that_never_come_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.apiserver.streaming.spdycommand._OPEN_SECONDS", 0.01)
    headers = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}
    answer = commands.upgrade(Request("POST", "/", {}, headers), ECHO, opening(Echo()))
    with pytest.raises(ConnectionError):
        await serve(answer, Link())
