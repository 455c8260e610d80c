"""Exclusive ownership: of several processes that ask for one name, the first holds it.

Two means, because two things are owned. A *network namespace* is owned by a Unix socket with an
abstract name, which the kernel scopes to the network namespace, and which shows everyone who asks
who the owner is. A *file* (the socket of another daemon, say) is owned by a lock on a file that
is named after its device and inode, so that every path and bind mount of it means the same lock.
Both vanish with the process, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

import orjson

from reconciler.core.errors import ReconcilerError

_ANSWER_LIMIT = 4096
_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a name: the process ID as seen from here, and what the owner says of itself."""

    pid: int
    description: str


class AlreadyOwned(ReconcilerError):
    """Another process holds what was asked for."""

    def __init__(self, what: str, owner: Owner) -> None:
        super().__init__(f"{what} is already owned by process {owner.pid} ({owner.description})")
        self.owner = owner


def find_owner(name: str) -> Owner | None:
    """Return the owner of `name` in this network namespace, None when nobody holds it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT)
        try:
            connection.connect(f"\0{name}")
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        with contextlib.suppress(TimeoutError):
            text = connection.recv(_ANSWER_LIMIT).decode(errors="replace")
            return Owner(struct.unpack("3i", peer)[0], text)
        return Owner(struct.unpack("3i", peer)[0], "it does not answer")


class NamespaceOwnership:
    """Holds `name` in this network namespace until closed.

    A daemon thread answers who asks with `description`, so that a busy event loop cannot make
    the owner look dead.
    """

    def __init__(self, name: str, description: str) -> None:
        """Take the name. Raises `AlreadyOwned`."""
        self._description = description.encode()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(f"\0{name}")
        except OSError as error:
            self._socket.close()
            owner = find_owner(name) or Owner(0, "it ended just now")
            raise AlreadyOwned("this host's network", owner) from error
        self._socket.listen(8)
        self._thread = threading.Thread(target=self._answer, name="ownership", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the name back; it is free when this returns."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # The kernel keeps the socket, and so the name, as long as the thread waits in it.
        self._thread.join(_TIMEOUT)
        self._socket.close()

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_TIMEOUT)
                connection.sendall(self._description)


class FileOwnership:
    """Holds the file at `path`, under whatever name it is reached, until closed.

    The lock lies in `directory`, which every competitor must share.
    """

    def __init__(self, path: Path, directory: Path, description: str) -> None:
        """Take the lock. Raises `AlreadyOwned`, or `OSError` when `path` does not exist."""
        status = path.stat()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = directory / f"{status.st_dev:x}-{status.st_ino:x}.lock"
        self._descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = orjson.loads(os.pread(self._descriptor, _ANSWER_LIMIT, 0) or b"{}")
            os.close(self._descriptor)
            owner = Owner(found.get("pid", 0), found.get("description", "it just started"))
            raise AlreadyOwned(str(path), owner) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(
            self._descriptor, orjson.dumps({"pid": os.getpid(), "description": description}), 0
        )

    def close(self) -> None:
        """Give the lock back and remove its file."""
        self._lock.unlink(missing_ok=True)
        os.close(self._descriptor)
