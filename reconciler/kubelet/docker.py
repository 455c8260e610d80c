"""The Docker engine behind the runtime protocol. The only importer of the Docker SDK.

The SDK blocks: each call runs on a bounded pool of threads, with a time-out of its own. Only the
low-level `APIClient` is used: the high-level one inspects whatever it lists.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import docker.errors
import requests.exceptions
import structlog
import urllib3.exceptions
from docker.api.client import APIClient

from reconciler.kubelet import dockerapi
from reconciler.kubelet.dockerevents import EventStream
from reconciler.kubelet.dockerexec import DockerExec
from reconciler.kubelet.dockerpull import PullProgress
from reconciler.kubelet.dockersignal import deliver, is_settled
from reconciler.kubelet.dockerversion import ApiVersion
from reconciler.kubelet.dockerwire import ConnectionPool, UnixSession
from reconciler.kubelet.runtime import (
    Container,
    ContainerSpec,
    Credentials,
    EngineVolume,
    ExecResult,
    Happened,
    Image,
    LocalImage,
    NoSuchContainer,
    NoSuchImage,
    Progress,
    RuntimeConflict,
    RuntimeFailure,
    RuntimeUnavailable,
    RuntimeVersion,
    ignore,
)
from reconciler.kubelet.threads import DaemonThreads

T = TypeVar("T")

# More calls in flight gain nothing on the engine's side, see docs/performance.md.
PARALLEL_CALLS = 8
PARALLEL_WAITS = 8
_SLOW_TIMEOUT = 600
_PIECE = 64 * 1024
_LOG_TAIL = 2 * 1024
_TELL_EVERY = 1.0
_NOT_FOUND, _CONFLICT, _NOT_MODIFIED = 404, 409, 304
_UNREACHABLE = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    urllib3.exceptions.HTTPError,
    OSError,
)


class DockerRuntime:
    """`ContainerRuntime` on a Docker engine at a Unix socket.

    `timeout` bounds each ordinary call, in seconds. Pulls run on threads of their own, so that a
    slow one holds up no start; execs on none.
    """

    def __init__(self, socket: Path = Path("/var/run/docker.sock"), *, timeout: int = 60) -> None:
        self._version = ApiVersion()
        self._client = _connect(socket, self._version, timeout, PARALLEL_CALLS)
        self._slow = _connect(socket, self._version, _SLOW_TIMEOUT, PARALLEL_WAITS)
        self._exec = DockerExec(socket, self._version, timeout)
        self._calls = DaemonThreads(PARALLEL_CALLS, "docker")
        self._waits = DaemonThreads(PARALLEL_WAITS, "docker-slow")
        self._log = structlog.get_logger(component="docker")

    async def version(self) -> RuntimeVersion:
        """See `ContainerRuntime.version`."""
        info = await self._call(self._client.info)
        return RuntimeVersion(
            name="docker",
            version=info["ServerVersion"],
            kernel=info["KernelVersion"],
            os_image=info["OperatingSystem"],
            architecture=info["Architecture"],
            cpus=info["NCPU"],
            memory=info["MemTotal"],
            root_dir=info["DockerRootDir"],
            security=dockerapi.security_names(info),
        )

    async def ping(self) -> None:
        """See `ContainerRuntime.ping`."""
        await self._call(self._client.ping)

    async def list(self, label: str = "") -> tuple[Container, ...]:
        """See `ContainerRuntime.list`: one listing, then one inspection each, in parallel."""
        filters = {"label": [label]} if label else None
        rows = await self._call(partial(self._client.containers, all=True, filters=filters))
        found = await asyncio.gather(*(self._inspect_or_none(row["Id"]) for row in rows))
        return tuple(container for container in found if container)

    async def _inspect_or_none(self, container: str) -> Container | None:
        try:
            return await self.inspect(container)
        except NoSuchContainer:
            return None

    async def inspect(self, container: str) -> Container:
        """See `ContainerRuntime.inspect`."""
        answer = await self._call(partial(self._client.inspect_container, container))
        return dockerapi.container(answer)

    async def create(self, spec: ContainerSpec) -> str:
        """See `ContainerRuntime.create`."""
        body = dockerapi.create_body(spec)
        answer = await self._call(
            partial(self._client.create_container_from_config, body, spec.name)
        )
        created: str = answer["Id"]
        return created

    async def start(self, container: str) -> None:
        """See `ContainerRuntime.start`."""
        await self._call(partial(self._client.start, container))

    async def signal(self, container: str, signal: str) -> None:
        """See `ContainerRuntime.signal`."""
        try:
            await self._call(partial(_signal, self._client, container, signal))
        except (NoSuchContainer, RuntimeConflict) as error:  # 409: it does not run
            self._log.debug("docker.signal.late", container=container, reason=str(error))

    async def remove(self, container: str) -> None:
        """See `ContainerRuntime.remove`."""
        with contextlib.suppress(NoSuchContainer):
            try:
                await self._remove(container)
            except RuntimeConflict as error:  # 409: somebody else is removing it
                self._log.debug("docker.remove.again", container=container, reason=str(error))

    async def _remove(self, container: str) -> None:
        await self._call(partial(self._client.remove_container, container, v=True, force=True))

    async def exec(self, container: str, argv: tuple[str, ...], seconds: float) -> ExecResult:
        """See `ContainerRuntime.exec`; a command that runs too long is killed."""
        return await self._exec.run(container, argv, seconds)

    async def logs(self, container: str, *, tail: int) -> bytes:
        """See `ContainerRuntime.logs`."""
        text: Any = await self._call(partial(self._client.logs, container, tail=tail))
        return bytes(text[-_LOG_TAIL:])

    async def disk_usage(self, container: str) -> int:
        """See `ContainerRuntime.disk_usage`; the engine walks the layer."""
        return await self._wait(partial(_disk_usage, self._slow, container))

    async def image(self, name: str) -> Image:
        """See `ContainerRuntime.image`."""
        return dockerapi.image(await self._call(partial(self._client.inspect_image, name)))

    async def image_file(self, name: str, path: str, labels: Mapping[str, str]) -> bytes:
        """See `ContainerRuntime.image_file`: out of a container that is made for it, not run."""
        body = {"Image": name, "Cmd": ["true"], "NetworkDisabled": True, "Labels": dict(labels)}
        made: Any = await self._call(partial(self._client.create_container_from_config, body))
        try:
            return await self._call(partial(_read_file, self._client, made["Id"], path))
        except NoSuchContainer:
            await self.inspect(made["Id"])  # the engine says the same of a file as of a container
            return b""
        finally:
            await self.remove(made["Id"])

    async def pull(
        self, name: str, credentials: Credentials | None = None, progress: Progress = ignore
    ) -> Image:
        """See `ContainerRuntime.pull`."""
        auth = (
            {"username": credentials.username, "password": credentials.password}
            if credentials
            else None
        )
        loop = asyncio.get_running_loop()

        def tell(how_far: str) -> None:
            loop.call_soon_threadsafe(progress, how_far)

        await self._wait(partial(_pull, self._slow, name, auth, tell))
        return await self.image(name)

    async def import_image(self, name: str, root: bytes) -> None:
        """See `ContainerRuntime.import_image`."""
        repository, _, tag = name.rpartition(":")
        await self._wait(partial(self._slow.import_image_from_data, root, repository, tag))

    async def remove_image(self, name: str) -> None:
        """See `ContainerRuntime.remove_image`."""
        with contextlib.suppress(NoSuchImage):
            await self._call(partial(self._client.remove_image, name))

    async def images(self, repository: str) -> tuple[str, ...]:
        """See `ContainerRuntime.images`."""
        rows: Any = await self._call(partial(self._client.images, repository))
        return tuple(sorted(tag for row in rows for tag in row.get("RepoTags") or ()))

    async def all_images(self) -> tuple[LocalImage, ...]:
        """See `ContainerRuntime.all_images`."""
        rows: Any = await self._call(self._client.images)
        found = [image for row in rows if (image := dockerapi.local_image(row)).names]
        return tuple(sorted(found, key=lambda each: (-each.size, each.names)))

    async def create_volume(self, volume: EngineVolume) -> str:
        """See `ContainerRuntime.create_volume`."""
        make = self._client.create_volume
        options, labels = dict(volume.options), dict(volume.labels)
        made: Any = await self._wait(partial(make, volume.name, volume.driver, options, labels))
        return str(made.get("Mountpoint") or "")

    async def remove_volume(self, name: str) -> None:
        """See `ContainerRuntime.remove_volume`."""
        with contextlib.suppress(NoSuchContainer):
            await self._wait(partial(self._client.remove_volume, name))

    async def volumes(self, label: str = "") -> tuple[EngineVolume, ...]:
        """See `ContainerRuntime.volumes`."""
        filters = {"label": label} if label else None
        answer: Any = await self._call(partial(self._client.volumes, filters))
        found = (dockerapi.volume(row) for row in answer.get("Volumes") or ())
        return tuple(sorted(found, key=lambda each: each.name))

    async def events(self, label: str = "") -> AsyncIterator[Happened]:
        """See `ContainerRuntime.events`."""
        name, _, value = label.partition("=")
        stream = EventStream(self._open_events, _UNREACHABLE)
        async for event in stream.run():
            known = event.what in ("image", "resync") or not name or name in event.labels
            if known and (not value or event.labels.get(name, value) == value):
                yield event

    def _open_events(self) -> Any:
        # The engine answers before it subscribes: begin at its own time of asking.
        try:
            since = datetime.fromisoformat(self._slow.info()["SystemTime"]).timestamp()
            filters = dockerapi.EVENT_FILTERS
            return self._slow.events(since=int(since), filters=filters, decode=True)
        except docker.errors.APIError as error:
            self._version.learn(_words(error))  # for the next try
            raise _failure(error) from error

    async def close(self) -> None:
        """See `ContainerRuntime.close`."""
        self._calls.close()
        self._waits.close()
        self._client.close()
        self._slow.close()

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._on(self._calls, function)

    async def _wait(self, function: Callable[[], T]) -> T:
        return await self._on(self._waits, function)

    async def _on(self, threads: DaemonThreads, function: Callable[[], T]) -> T:
        try:
            return await threads.run(function)
        except docker.errors.ImageNotFound as error:
            raise NoSuchImage(_words(error)) from error
        except docker.errors.APIError as error:
            if not self._version.learn(_words(error)):
                raise _failure(error) from error
            return await self._on(threads, function)
        except docker.errors.DockerException as error:
            raise RuntimeFailure(str(error)) from error
        except _UNREACHABLE as error:
            raise RuntimeUnavailable(f"Docker does not answer: {error}") from error


class _Client(UnixSession, APIClient):
    """The SDK's client is told once which version of the API to speak; this one asks each time."""

    _url: Callable[..., str]
    _get: Callable[..., Any]
    _raise_for_status: Callable[..., None]

    def __init__(self, socket: Path, version: ApiVersion, timeout: int, connections: int) -> None:
        self._spoken = version
        self._pool = ConnectionPool(socket, connections)
        url = f"unix://{socket}"
        super().__init__(url, version.text, timeout=timeout, max_pool_size=connections)

    @property
    def _version(self) -> str:
        return self._spoken.text

    @_version.setter
    def _version(self, _version: str) -> None:
        """The SDK sets what it was told."""

    @contextlib.contextmanager
    def archive(self, container: str, path: str) -> Iterator[Iterator[bytes]]:
        """Yield the pieces of a tar; the rest need not be read.

        What the SDK returns cannot be closed, and the engine removes no container that is read.
        """
        url = self._url("/containers/{0}/archive", container)
        with self._get(url, params={"path": path}, stream=True) as answer:
            self._raise_for_status(answer)
            yield answer.iter_content(_PIECE)


def _connect(socket: Path, version: ApiVersion, timeout: int, connections: int) -> _Client:
    client = _Client(socket, version, timeout, connections)
    # Proxies and netrc files mean nothing on a Unix socket, and looking them up costs as much
    # processor time as the rest of a call.
    client.trust_env = False
    return client


def _failure(error: docker.errors.APIError) -> RuntimeFailure:
    if error.status_code == _NOT_FOUND:
        return NoSuchContainer(_words(error))
    if error.status_code == _CONFLICT:
        return RuntimeConflict(_words(error))
    return RuntimeFailure(_words(error))


def _words(error: docker.errors.APIError) -> str:
    return str(error.explanation or error)


def _signal(client: APIClient, container: str, name: str) -> None:
    """Send a signal: the engine takes 20 ms of the processor for one, and 2 to say the process."""
    if name != "SIGKILL":  # the engine keeps at that until the container is dead, paused or not
        seen = dockerapi.container(client.inspect_container(container))
        if is_settled(seen.started) and deliver(seen.pid, seen.id, name):
            return
    client.kill(container, name)


def _disk_usage(client: APIClient, container: str) -> int:
    rows: Any = client.containers(all=True, size=True, filters={"id": container})
    layer = sum(row.get("SizeRw") or 0 for row in rows)
    log = Path(client.inspect_container(container).get("LogPath") or "/")
    # A daemon in a container does not see the engine's folders: then logs do not count.
    return layer + sum(file.stat().st_size for file in log.parent.glob(f"{log.name}*") if log.name)


def _read_file(client: _Client, container: str, path: str) -> bytes:
    with client.archive(container, path) as pieces:
        return dockerapi.only_file(pieces)


def _pull(
    client: APIClient, name: str, auth: dict[str, str] | None, tell: Callable[[str], object]
) -> None:
    """Pull and read the progress to its end, where the engine says what went wrong."""
    repository, tag = _split(name)
    lines: Any = client.pull(repository, tag, stream=True, decode=True, auth_config=auth)
    layers = PullProgress()
    told = time.monotonic()
    for line in lines:
        if "error" in line:
            raise docker.errors.DockerException(line["error"])
        layers.take(line)
        if time.monotonic() - told >= _TELL_EVERY:
            told = time.monotonic()
            tell(layers.text())


def _split(name: str) -> tuple[str, str]:
    """Split an image name into repository and tag or digest; the default tag is latest."""
    repository, at, digest = name.partition("@")
    if at:
        return repository, digest
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")
