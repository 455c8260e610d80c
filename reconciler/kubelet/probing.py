"""One try of a probe: HTTP and TCP from the host into the pod's address, exec in the container.

Called by `prober.py`. A try either returns or raises `ProbeFailed`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from reconciler.core.errors import ReconcilerError
from reconciler.kubelet import grpcprobe
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.kubelet.wire import TooLate, Wire, limited
from reconciler.model.container import Container
from reconciler.model.probe import GRPCAction, HTTPGetAction, HTTPHeader, Probe, TCPSocketAction

_MOST_REDIRECTS = 10
_OK, _BAD_REQUEST = 200, 400
# Any other of the kind is an answer, as to the HTTP client of Kubernetes.
_FOLLOWED = frozenset((301, 302, 303, 307, 308))
_AGENT = "kube-probe/1.31"
_HEAD_END, _LONGEST_HEAD = b"\r\n\r\n", 64 * 1024
_NO_ANSWER = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"


class ProbeFailed(ReconcilerError):
    """The probe failed; the message is Kubernetes' output for the event."""


class ProbeErrored(ReconcilerError):
    """Nobody could ask, so that the try says nothing: Kubernetes throws its result away."""


async def attempt(
    probe: Probe,
    container: Container,
    found: PodContainer,
    address: str,
    runtime: ContainerRuntime,
    wire: Wire,
) -> None:
    """Try once, within the probe's time-out; raises `ProbeFailed`, or `ProbeErrored`."""
    limit = max(probe.timeout_seconds, 1)
    by = asyncio.get_running_loop().time() + limit
    if probe.http_get is not None:
        await _http(probe.http_get, _url(probe.http_get, container, address), wire, by)
    elif probe.tcp_socket is not None:
        await connect(probe.tcp_socket, container, address, wire, by)
    elif probe.exec is not None:
        await _execute(probe.exec.command, found, limit, runtime)
    elif probe.grpc is not None:
        await _grpc(address, probe.grpc, wire, by, limit)
    else:
        raise ProbeFailed("missing probe handler")


async def _grpc(address: str, action: GRPCAction, wire: Wire, by: float, limit: float) -> None:
    try:
        await grpcprobe.check(wire, address, action.port, action.service or "", by)
    except grpcprobe.NotServing as error:
        raise ProbeFailed(str(error)) from error
    except TooLate as error:
        words = f"timeout: health rpc did not complete within {limit:g}s"
        raise ProbeFailed(f"{words}: context deadline exceeded") from error
    except OSError as error:
        where = f"{address}:{action.port}"
        raise ProbeFailed(f'failed to connect service "{where}" within its time-out') from error


async def connect(
    action: TCPSocketAction, container: Container, address: str, wire: Wire, by: float
) -> None:
    """Open a connection and close it again; `by` is a moment of the event loop's clock."""
    port = port_number(action.port, container)
    (await _dial(action.host or address, port, wire, by)).close()


async def fetch(
    action: HTTPGetAction, container: Container, address: str, wire: Wire, by: float
) -> None:
    """Send a request of a lifecycle hook: any answer will do. `by` is as above."""
    await _get(_url(action, container, address), action, wire, by)


def _url(action: HTTPGetAction, container: Container, address: str) -> str:
    host, port = action.host or address, port_number(action.port, container)
    return f"{(action.scheme or 'HTTP').lower()}://{host}:{port}{_path(action.path)}"


def port_number(port: int | str, container: Container) -> int:
    """Return the number of a port that may be given by name."""
    if isinstance(port, int):
        return port
    for known in container.ports:
        if known.name == port:
            return known.container_port
    if port.isdecimal():
        return int(port)
    raise ProbeFailed(f'couldn\'t find port with name "{port}"')


async def _execute(
    command: tuple[str, ...], found: PodContainer, limit: int, runtime: ContainerRuntime
) -> None:
    try:
        result = await runtime.exec(found.id, found.argv(command), limit)
    except TimeoutError as error:
        raise ProbeFailed(f'command "{" ".join(command)}" timed out') from error
    except RuntimeFailure as error:
        raise ProbeErrored(str(error)) from error
    if result.exit_code:
        raise ProbeFailed(result.output.decode(errors="replace"))


async def _dial(host: str, port: int, wire: Wire, by: float) -> socket.socket:
    try:
        return await wire.connect(host, port, by)
    except TooLate as error:
        raise ProbeFailed(f"dial tcp {host}:{port}: i/o timeout") from error
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise ProbeFailed(f"dial tcp {host}:{port}: connect: {words}") from error


def _unverified() -> ssl.SSLContext:
    """Kubernetes' probes do not verify certificates: they ask whether anybody answers."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _http(action: HTTPGetAction, url: str, wire: Wire, by: float) -> None:
    for _ in range(_MOST_REDIRECTS):
        status, location = await _get(url, action, wire, by)
        if status not in _FOLLOWED or not location:
            break
        target = urljoin(url, location)
        if urlsplit(target).hostname != urlsplit(url).hostname:
            return  # Kubernetes: a redirect to another host counts as success
        url = target
    else:
        raise ProbeFailed(f'Get "{url}": stopped after {_MOST_REDIRECTS} redirects')
    if not _OK <= status < _BAD_REQUEST:
        raise ProbeFailed(f"HTTP probe failed with statuscode: {status}")


def _path(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


async def _get(url: str, action: HTTPGetAction, wire: Wire, by: float) -> tuple[int, str]:
    """Return the status and the Location header of one request."""
    secure, host, port, request = _prepared(url, action.http_headers)
    try:
        made = await _dial(host, port, wire, by)
    except ProbeFailed as error:
        raise ProbeFailed(f'Get "{url}": {error}') from error
    try:
        ask = _ask_securely if secure else _ask
        head = await ask(made, request, wire, by)
    except TooLate as error:
        raise ProbeFailed(f'Get "{url}": {_NO_ANSWER}') from error
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
        raise ProbeFailed(f'Get "{url}": EOF') from error
    finally:
        made.close()
    return _read_head(head, url)


@lru_cache(maxsize=1024)
def _prepared(url: str, headers: tuple[HTTPHeader, ...]) -> tuple[bool, str, int, bytes]:
    """Return whether to encrypt, host, port and request; the same for each try of a probe."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    request = _request(headers, parts.netloc, _target(url))
    return secure, parts.hostname or "", parts.port or (443 if secure else 80), request


async def _ask(connected: socket.socket, request: bytes, wire: Wire, by: float) -> bytes:
    """Send the request; return the head of the answer."""
    await wire.send(connected, request, by)
    head = await wire.receive(connected, by)
    while _HEAD_END not in head:
        more = await wire.receive(connected, by)
        head += more
        if not more or len(head) > _LONGEST_HEAD:
            raise asyncio.IncompleteReadError(head, None)
    return head.partition(_HEAD_END)[0]


async def _ask_securely(connected: socket.socket, request: bytes, _wire: Wire, by: float) -> bytes:
    async with limited(by):
        reader, writer = await asyncio.open_connection(
            sock=connected, ssl=_unverified(), server_hostname=""
        )
        try:
            writer.write(request)
            return (await reader.readuntil(_HEAD_END)).removesuffix(_HEAD_END)
        finally:
            writer.transport.abort()


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _request(headers: tuple[HTTPHeader, ...], host: str, target: str) -> bytes:
    """Return a request with the probe's headers, each as often as it is given."""
    given = {header.name.lower() for header in headers}
    standard = (("Host", host), ("User-Agent", _AGENT), ("Accept", "*/*"))
    fields = [pair for pair in standard if pair[0].lower() not in given]
    fields += [(header.name, header.value) for header in headers]
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def _read_head(head: bytes, url: str) -> tuple[int, str]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(maxsplit=2)
    if len(words) < 2 or not words[1].isdecimal():  # noqa: PLR2004 - version and status
        raise ProbeFailed(f'Get "{url}": malformed HTTP response "{first}"')
    if words[1].startswith("2"):
        return int(words[1]), ""
    split = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in split}
    return int(words[1]), headers.get("location", "")
