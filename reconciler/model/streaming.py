"""What a node does for a pod on behalf of a caller: logs, commands, a terminal, a connection.

The API server asks by `NodeStreams`; the kubelet's `DockerStreams` answers. Neither knows the
other: they meet in these types.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from reconciler.core.errors import ReconcilerError
from reconciler.model.pod import Pod

Output = Literal["stdout", "stderr"]


class StreamFailure(ReconcilerError):
    """The node cannot do it; the message is the kubelet's own."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines of a container's log: core/v1 PodLogOptions without the container.

    `tail` is a number of lines and `limit` of bytes, None for all; lines before `since` are left
    out. `follow` waits for more until the container ends.
    """

    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and which of its streams somebody uses; no `argv` means process 1 itself."""

    argv: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal's size in characters."""

    width: int
    height: int


class Terminal(Protocol):
    """A command that runs in a container, or its process 1, with its streams."""

    async def read(self) -> tuple[Output, bytes] | None:
        """Return the next output, None at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Feed standard input."""
        ...

    async def end_input(self) -> None:
        """Close standard input."""
        ...

    async def resize(self, size: Size) -> None:
        """Set the size of its terminal; without one nothing happens."""
        ...

    async def exit_code(self) -> int:
        """Return how it ended, after the last output; 0 for process 1, from which one detaches."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class Pipe(Protocol):
    """A TCP connection to a port inside a pod."""

    async def read(self) -> bytes:
        """Return the next bytes, none at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send; raises `ConnectionError` when the other end is gone."""
        ...

    async def end(self) -> None:
        """Say that no more is sent."""
        ...

    async def close(self) -> None:
        """Close both ways."""
        ...


class NodeStreams(Protocol):
    """A node's own. Every refusal is a `StreamFailure`."""

    def logs(self, pod: Pod, container_id: str, query: LogQuery) -> AsyncIterator[bytes]:
        """Yield the log of a container of the pod by its `docker://` id."""
        ...

    async def run(self, pod: Pod, container_id: str, command: Command) -> Terminal:
        """Start a command in a running container, or attach to its process 1."""
        ...

    async def dial(self, pod: Pod, port: int) -> Pipe:
        """Connect to a port of the pod's own loopback, where its servers may listen alone."""
        ...
