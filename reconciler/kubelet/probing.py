"""One try of a probe: HTTP and TCP from the host into the pod's address, exec in the container.

Called by `prober.py`. A try either returns or raises `ProbeFailed`; time is the caller's.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urljoin, urlsplit

from reconciler.core.errors import ReconcilerError
from reconciler.kubelet import grpcprobe
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.model.container import Container
from reconciler.model.probe import GRPCAction, HTTPGetAction, Probe, TCPSocketAction

_MOST_REDIRECTS = 10
_OK, _MULTIPLE_CHOICES, _BAD_REQUEST = 200, 300, 400
_AGENT = "kube-probe/1.31"


class ProbeFailed(ReconcilerError):
    """The probe failed; the message is Kubernetes' output for the event."""


async def attempt(
    probe: Probe, container: Container, found: PodContainer, address: str, runtime: ContainerRuntime
) -> None:
    """Try once, within the probe's time-out; raises `ProbeFailed`."""
    limit = max(probe.timeout_seconds, 1)
    if probe.exec is not None:
        await _execute(probe.exec.command, found, limit, runtime)
        return
    try:
        async with asyncio.timeout(limit):
            await _from_host(probe, container, address)
    except TimeoutError as error:
        raise ProbeFailed(
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        ) from error


async def _from_host(probe: Probe, container: Container, address: str) -> None:
    if probe.http_get is not None:
        await _http(probe.http_get, _url(probe.http_get, container, address))
    elif probe.tcp_socket is not None:
        await connect(probe.tcp_socket, container, address)
    elif probe.grpc is not None:
        await _grpc(address, probe.grpc)
    else:
        raise ProbeFailed("missing probe handler")


async def _grpc(address: str, action: GRPCAction) -> None:
    try:
        await grpcprobe.check(address, action.port, action.service or "")
    except grpcprobe.NotServing as error:
        raise ProbeFailed(str(error)) from error
    except OSError as error:
        where = f"{address}:{action.port}"
        raise ProbeFailed(f'failed to connect service "{where}" within its time-out') from error


async def connect(action: TCPSocketAction, container: Container, address: str) -> None:
    """Open a connection and close it again."""
    port = port_number(action.port, container)
    _reader, writer = await _connect(action.host or address, port, secure=False)
    writer.close()


async def fetch(action: HTTPGetAction, container: Container, address: str) -> None:
    """Send a request of a lifecycle hook: any answer will do."""
    await _get(_url(action, container, address), action)


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
        raise ProbeFailed(str(error)) from error
    if result.exit_code:
        raise ProbeFailed(result.output.decode(errors="replace"))


async def _connect(
    host: str, port: int, *, secure: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(host, port, ssl=_unverified() if secure else None)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise ProbeFailed(f"dial tcp {host}:{port}: connect: {words}") from error


def _unverified() -> ssl.SSLContext:
    """Kubernetes' probes do not verify certificates: they ask whether anybody answers."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _http(action: HTTPGetAction, url: str) -> None:
    for _ in range(_MOST_REDIRECTS):
        status, location = await _get(url, action)
        if not _MULTIPLE_CHOICES <= status < _BAD_REQUEST or not location:
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


async def _get(url: str, action: HTTPGetAction) -> tuple[int, str]:
    """Return the status and the Location header of one request."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        reader, writer = await _connect(parts.hostname or "", port, secure=secure)
    except ProbeFailed as error:
        raise ProbeFailed(f'Get "{url}": {error}') from error
    try:
        writer.write(_request(action, parts.netloc, _target(url)))
        return await _answer(reader, url)
    finally:
        writer.close()


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _request(action: HTTPGetAction, host: str, target: str) -> bytes:
    headers = {"Host": host, "User-Agent": _AGENT, "Accept": "*/*"}
    headers.update({header.name: header.value for header in action.http_headers})
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


async def _answer(reader: asyncio.StreamReader, url: str) -> tuple[int, str]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
        raise ProbeFailed(f'Get "{url}": EOF') from error
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(maxsplit=2)
    if len(words) < 2 or not words[1].isdecimal():  # noqa: PLR2004 - version and status
        raise ProbeFailed(f'Get "{url}": malformed HTTP response "{first}"')
    split = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in split}
    return int(words[1]), headers.get("location", "")
