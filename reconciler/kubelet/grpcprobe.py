"""The gRPC health check of a probe: one call of `grpc.health.v1.Health/Check` over HTTP/2.

Called by `probing.py`. The two messages of the protocol are a string and a number: they are packed
by hand. Each try is a connection of its own, as in Kubernetes: that one can be made is part of the
question. `http2.py` is loaded when the first such probe runs, for few pods have one.
"""

from __future__ import annotations

import socket
from functools import lru_cache

from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.wire import Wire

_SERVING = 1
_STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_UNIMPLEMENTED, _NOT_FOUND = "12", "5"
_PREFIX = 5


class NotServing(ReconcilerError):
    """The service is not healthy, or nobody there can say so; the message is Kubernetes' own."""


async def check(wire: Wire, host: str, port: int, service: str, by: float) -> None:
    """Ask whether `service` serves; `by` is a moment of the event loop's clock.

    Raises `NotServing`, `TooLate`, and `OSError` when no connection can be made.
    """
    question = _question(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", service)
    connected = await wire.connect(host, port, by)
    try:
        headers, body = await _call(wire, connected, question, by)
    finally:
        connected.close()
    _judge(headers, body, service)


async def _call(
    wire: Wire, connected: socket.socket, question: bytes, by: float
) -> tuple[dict[str, str], bytes]:
    """Return the headers, trailers among them, and the body of the answer, or of its beginning."""
    from reconciler.kubelet.http2 import Malformed, Reply  # noqa: PLC0415

    await wire.send(connected, question, by)
    reply = Reply()
    try:
        while not reply.ended and (data := await wire.receive(connected, by)):
            if owed := reply.take(data):
                await wire.send(connected, owed, by)
        return reply.headers(), reply.body
    except Malformed as error:
        raise NotServing(f"error reading server preface: {error}") from error
    except OSError as error:
        raise NotServing(f"error: health rpc probe failed: {error.strerror}") from error


@lru_cache(maxsize=1024)
def _question(authority: str, service: str) -> bytes:
    """Return all that is sent; the same for each try of a probe."""
    from reconciler.kubelet.http2 import request  # noqa: PLC0415

    headers = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "kube-probe/1.31"),
    )
    return request(headers, _message(service))


def _message(service: str) -> bytes:
    """Return a HealthCheckRequest as a gRPC message: field 1, the service's name."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes((low | 0x80,)) + _varint(rest) if rest else bytes((low,))


def _judge(headers: dict[str, str], body: bytes, service: str) -> None:
    code = headers.get("grpc-status", "")
    if code == _UNIMPLEMENTED:
        raise NotServing("error: this server does not implement the grpc health protocol")
    if code == _NOT_FOUND:
        raise NotServing(f'error: service "{service}" is unknown to the health check')
    if code != "0":
        words = headers.get("grpc-message", _without_status(headers))
        raise NotServing(f"error: health rpc probe failed: {words} (code {code or 'none'})")
    state = _state(body[_PREFIX:])
    if state != _SERVING:
        name = _STATUS.get(state, str(state))
        raise NotServing(f'service unhealthy (responded with "{name}")')


def _without_status(headers: dict[str, str]) -> str:
    """Say what came in place of gRPC's status: an answer of plain HTTP, or none."""
    status = headers.get(":status", "200")
    return "no answer" if status == "200" else f"unexpected HTTP status code {status}"


def _state(message: bytes) -> int:
    """Return field 1 of a HealthCheckResponse; it is left out when it is 0."""
    return message[1] if message[:1] == b"\x08" and len(message) > 1 else 0
