"""Talking to a child process within bounds of time and memory. Called by `git.py` on its thread.

`subprocess.communicate` reads whatever comes: a tree of a few hostile objects can list itself as
more names than any memory holds.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time

_CHUNK = 1 << 16
_ERRORS_KEPT = 1 << 16


class TooMuch(Exception):
    """The process wrote more than was asked for."""


class TooLong(Exception):
    """The process did not end in time."""


def exchange(
    process: subprocess.Popen[bytes], given: bytes, seconds: float, limit: int
) -> tuple[bytes, bytes]:
    """Give `given` to the process and return what it writes and complains of, once it has ended.

    At most `limit` bytes are taken in. Raises `TooMuch` and `TooLong`; the process then still runs.
    """
    deadline = time.monotonic() + seconds
    talk = _Talk(given, limit)
    with selectors.DefaultSelector() as selector:
        talk.join(selector, process)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TooLong
            for key, _ in selector.select(left):
                pipe, step = key.data
                if not step(key.fd):
                    selector.unregister(pipe)
                    pipe.close()
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TooLong from error
    return bytes(talk.output), bytes(talk.errors)


class _Talk:
    """What was written so far, and what is still to be said; each step says whether to go on."""

    def __init__(self, given: bytes, limit: int) -> None:
        self._given = memoryview(given)
        self._limit = limit
        self.output = bytearray()
        self.errors = bytearray()

    def join(self, selector: selectors.BaseSelector, process: subprocess.Popen[bytes]) -> None:
        """Watch the pipes that the process has."""
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, (process.stdin, self._write))
        if process.stdout is not None:
            selector.register(process.stdout, selectors.EVENT_READ, (process.stdout, self._read))
        if process.stderr is not None:
            selector.register(
                process.stderr, selectors.EVENT_READ, (process.stderr, self._complain)
            )

    def _write(self, descriptor: int) -> bool:
        try:
            written = os.write(descriptor, self._given[:_CHUNK]) if self._given else 0
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False  # it has heard enough; its exit code says what it makes of that
        self._given = self._given[written:]
        return bool(self._given)

    def _read(self, descriptor: int) -> bool:
        chunk = os.read(descriptor, _CHUNK)
        self.output += chunk
        if len(self.output) > self._limit:
            raise TooMuch
        return bool(chunk)

    def _complain(self, descriptor: int) -> bool:
        chunk = os.read(descriptor, _CHUNK)
        self.errors += chunk[: max(0, _ERRORS_KEPT - len(self.errors))]
        return bool(chunk)
