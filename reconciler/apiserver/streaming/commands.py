"""exec and attach: a caller's `Console` joined with a node's `Terminal`. Called by `service.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from reconciler.apiserver.http.message import Duplex, Request, Upgrade
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.streaming import outcome, spdycommand, websocket, wscommand
from reconciler.apiserver.streaming.console import Console
from reconciler.apiserver.streaming.spdy import negotiation
from reconciler.apiserver.streaming.spdy.session import Session
from reconciler.apiserver.streaming.tasks import first_of
from reconciler.apiserver.streaming.websocket import WebSocket
from reconciler.model.streaming import Command, StreamFailure, Terminal

Open = Callable[[], Awaitable[Terminal]]

_LOG = structlog.get_logger(component="api")


def command_of(request: Request, *, attach: bool) -> Command:
    """Read PodExecOptions or PodAttachOptions. Raises `StatusError`."""
    parts = ("stdin", "stdout", "stderr", "tty")
    flags = {name: request.flag(name) for name in parts}
    argv = () if attach else tuple(request.query.get("command", ()))
    if not attach and not argv:
        raise bad_request("you must specify at least one command for the container")
    if attach and not any(request.query.get(name) for name in parts):
        flags |= {"stdout": True, "stderr": True}
    if not any(flags[name] for name in ("stdin", "stdout", "stderr")):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return Command(argv, **flags)


def upgrade(request: Request, command: Command, open_: Open) -> Upgrade:
    """Return the answer that runs a command over what the client asks for: WebSocket or SPDY."""
    if websocket.asked(request):
        return _over_websocket(request, command, open_)
    if negotiation.asked(request):
        return _over_spdy(request, command, open_)
    raise bad_request("Upgrade request required")


def _over_websocket(request: Request, command: Command, open_: Open) -> Upgrade:
    protocol = websocket.chosen(request, wscommand.PROTOCOLS)
    if protocol is None:
        raise StatusError(403, "Forbidden", "the requested protocols are not supported")
    if not websocket.complete(request):
        raise bad_request("the WebSocket handshake is not complete")

    async def serve(socket: WebSocket) -> None:
        console = wscommand.WebSocketConsole(socket, protocol, command)
        await console.start()
        await first_of(console.listen(), _run(console, command, open_))

    return websocket.upgrade(request, protocol, serve)


def _over_spdy(request: Request, command: Command, open_: Open) -> Upgrade:
    protocol = negotiation.chosen(request, spdycommand.PROTOCOLS)

    async def serve(connection: Duplex) -> None:
        console = spdycommand.SpdyConsole(Session(connection), protocol, command)
        await first_of(console.listen(), _start_and_run(console))

    async def _start_and_run(console: spdycommand.SpdyConsole) -> None:
        await console.start()
        await _run(console, command, open_)

    return negotiation.upgrade(protocol, serve)


async def _run(console: Console, command: Command, open_: Open) -> None:
    """Run to the end and tell the outcome, whatever it is."""
    try:
        terminal = await open_()
        try:
            status = outcome.of_exit(await _join(console, command, terminal))
        finally:
            await terminal.close()
    except StreamFailure as error:
        status = outcome.of_failure(str(error))
    except ConnectionError:
        return  # the caller is gone; nobody is left to tell
    try:
        await console.finish(status)
    except ConnectionError as error:
        _LOG.debug("api.stream.unheard", reason=str(error))


async def _join(console: Console, command: Command, terminal: Terminal) -> int:
    """Pump both ways until the output ends; return the exit code."""
    feeding = [asyncio.ensure_future(_resize(console, terminal))] if command.tty else []
    if command.stdin:
        feeding.append(asyncio.ensure_future(_feed(console, terminal)))
    try:
        while (output := await terminal.read()) is not None:
            await console.write(*output)
        return await terminal.exit_code()
    finally:
        for task in feeding:
            task.cancel()
        await asyncio.gather(*feeding, return_exceptions=True)


async def _feed(console: Console, terminal: Terminal) -> None:
    while data := await console.read():
        await terminal.write(data)
    await terminal.end_input()


async def _resize(console: Console, terminal: Terminal) -> None:
    while (size := await console.resized()) is not None:
        await terminal.resize(size)
