"""The gRPC health check of a probe: one call of `grpc.health.v1.Health/Check` over HTTP/2.

Called by `probing.py`; the only importer of h2, which is loaded when the first such probe runs.
The two messages of the protocol are a string and a number: they are packed by hand.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from reconciler.core.errors import ReconcilerError

_SERVING = 1
_STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_UNIMPLEMENTED, _NOT_FOUND = "12", "5"
_PREFIX = 5
_CHUNK = 16 * 1024


class NotServing(ReconcilerError):
    """The service is not healthy, or nobody there can say so; the message is Kubernetes' own."""


@dataclass(slots=True)
class _Answer:
    """What came back: the message's bytes, and the status in the headers or trailers."""

    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    ended: bool = False


async def check(host: str, port: int, service: str) -> None:
    """Ask whether `service` serves; raises `NotServing` or `OSError`."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        _judge(await _call(reader, writer, f"{host}:{port}", service), service)
    finally:
        writer.transport.abort()


async def _call(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, service: str
) -> _Answer:
    # A probe of this kind is rare: idle memory is not spent on its library.
    from h2.connection import H2Connection  # noqa: PLC0415
    from h2.exceptions import ProtocolError  # noqa: PLC0415

    connection = H2Connection()
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    connection.send_headers(stream, _headers(authority))
    connection.send_data(stream, _request(service), end_stream=True)
    writer.write(connection.data_to_send())
    answer = _Answer()
    while not answer.ended and (data := await reader.read(_CHUNK)):
        try:
            events = connection.receive_data(data)
        except ProtocolError as error:
            raise NotServing(f"error reading server preface: {error}") from error
        for event in events:
            _take(connection, event, answer)
        writer.write(connection.data_to_send())
    return answer


def _headers(authority: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "kube-probe/1.31"),
    ]


def _request(service: str) -> bytes:
    """Return a HealthCheckRequest as a gRPC message: field 1, the service's name."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes((low | 0x80,)) + _varint(rest) if rest else bytes((low,))


def _take(connection: Any, event: Any, answer: _Answer) -> None:
    from h2 import events  # noqa: PLC0415 - see `_call`

    if isinstance(event, events.ResponseReceived | events.TrailersReceived):
        answer.headers |= {_text(name): _text(value) for name, value in event.headers}
    elif isinstance(event, events.DataReceived):
        answer.body += event.data
        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    elif isinstance(event, events.StreamEnded | events.StreamReset | events.ConnectionTerminated):
        answer.ended = True


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _judge(answer: _Answer, service: str) -> None:
    code = answer.headers.get("grpc-status", "")
    if code == _UNIMPLEMENTED:
        raise NotServing("error: this server does not implement the grpc health protocol")
    if code == _NOT_FOUND:
        raise NotServing(f'error: service "{service}" is unknown to the health check')
    if code != "0":
        words = answer.headers.get("grpc-message", "no answer")
        raise NotServing(f"error: health rpc probe failed: {words} (code {code or 'none'})")
    state = _state(answer.body[_PREFIX:])
    if state != _SERVING:
        name = _STATUS.get(state, str(state))
        raise NotServing(f'service unhealthy (responded with "{name}")')


def _state(message: bytes) -> int:
    """Return field 1 of a HealthCheckResponse; it is left out when it is 0."""
    return message[1] if message[:1] == b"\x08" and len(message) > 1 else 0
