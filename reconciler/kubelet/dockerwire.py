"""Ordinary HTTP calls over the engine's socket without `requests` and urllib3. Used by `docker.py`.

The SDK's own way takes 0.5 to 0.7 ms of the processor for a call, most of it for what a local
socket has no use for: proxies, cookies, redirects, compression. It also has a pool for each
address, so that each container's first call opens a connection. Here the standard library makes the
call in less than half of that; answers and errors are those of `requests`, so that the SDK notices
nothing. A streamed answer and whatever else is unusual goes the long way.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import select
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

_ORIGIN = "http+docker://localhost"  # how the SDK names what is behind its socket
# What an ordinary call may say, and how; redirects are followed in `UnixSession.request`.
_ORDINARY: dict[str, tuple[type, ...]] = {
    "params": (dict, type(None)),
    "data": (str, bytes, type(None)),
    "json": (type(None),),
    "headers": (dict, type(None)),
    "timeout": (int, float, type(None)),
    "stream": (bool, type(None)),
    "allow_redirects": (bool,),
}


class Call(NamedTuple):
    """One request; `timeout` bounds each wait, in seconds, and None none."""

    method: str
    target: str
    headers: Mapping[str, str | bytes]
    body: bytes | None
    timeout: float | None


class UnixSession(requests.Session):
    """A session of the SDK's on a Unix socket: `_pool`, set by who inherits, has its connections.

    It goes before the SDK's client among the base classes.
    """

    _pool: ConnectionPool

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Make a call as `requests.Session.request` does, and raise what that raises."""
        if not args and _is_ordinary(url, options):
            answer = self._ask(method, url, **options)
            if not answer.is_redirect:
                return answer
            # Nothing has happened: the engine leads to another spelling of the path.
        return super().request(method, url, *args, **options)

    def _ask(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        data: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> requests.Response:
        target = url.removeprefix(_ORIGIN) + query(params or {})
        merged = CaseInsensitiveDict(self.headers)
        merged["Accept-Encoding"] = "identity"  # the content is taken as it comes
        merged.update(headers or {})
        body = data.encode() if isinstance(data, str) else data
        answer = self._pool.request(Call(method, target, merged, body, timeout))
        answer.url = _ORIGIN + target
        return answer

    def close(self) -> None:
        """Close all connections; those under way after their present call."""
        self._pool.close()
        super().close()


class ConnectionPool:
    """Kept connections to a Unix socket; a call has one for itself, so that threads may share this.

    `size` bounds how many are kept between calls. They belong to no thread: those of a thread that
    has ended would be lost.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    def request(self, call: Call) -> requests.Response:
        """Make one call, never a second time.

        Raises what `requests` does: `ReadTimeout`, `ChunkedEncodingError` when the answer breaks
        off, `InvalidHeader`, and `ConnectionError` for all else. Its connection is then closed.
        """
        try:
            connection = self._take()
            try:
                answer = connection.exchange(call)
            except BaseException:
                connection.close()
                raise
        except TimeoutError as error:
            raise requests.exceptions.ReadTimeout(error) from error
        except http.client.IncompleteRead as error:
            raise requests.exceptions.ChunkedEncodingError(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise requests.exceptions.ConnectionError(error) from error
        except ValueError as error:  # so the standard library refuses to send a header
            raise requests.exceptions.InvalidHeader(error) from error
        self._keep(connection)
        return answer

    def close(self) -> None:
        """Close what is kept, and keep nothing from now on."""
        with self._lock:
            self._size = 0
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> _Connection:
        while True:
            with self._lock:
                if not self._idle:
                    return _Connection(self._path)
                connection = self._idle.pop()
            if connection.is_reusable():
                return connection
            connection.close()

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            if len(self._idle) < self._size:
                self._idle.append(connection)
                return
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection to a Unix socket, made with the first request."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = str(path)

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(self.timeout)
            made.connect(self._path)
        except BaseException:
            made.close()
            raise
        self.sock = made

    def is_reusable(self) -> bool:
        """Return whether another request may follow: nothing came unasked, the end least of all."""
        if self.sock is None:  # the last answer ended with the connection
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)

    def exchange(self, call: Call) -> requests.Response:
        """Send a request and read its answer to the end."""
        self.timeout = call.timeout
        if self.sock is None:
            self.connect()
        else:
            self.sock.settimeout(call.timeout)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.request(call.method, call.target, call.body, call.headers)
        # Where that broke off, the engine may have answered before it closed the connection.
        with self.getresponse() as answer:
            return _response(answer, answer.read())


def query(params: Mapping[str, Any]) -> str:
    """Return a query string as `requests` writes it: each of a list by itself, no None."""
    pairs = [(key, each) for key, value in params.items() for each in _each(value)]
    known = [(key, each) for key, each in pairs if each is not None]
    return f"?{urlencode(known)}" if known else ""


def _each(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple | set) else (value,)


def _is_ordinary(url: Any, options: Mapping[str, Any]) -> bool:
    return (
        str(url).startswith(f"{_ORIGIN}/")
        and not options.get("stream")
        and all(isinstance(value, _ORDINARY.get(name, ())) for name, value in options.items())
        and all(isinstance(value, str) for value in (options.get("headers") or {}).values())
    )


def _response(answer: http.client.HTTPResponse, content: bytes) -> requests.Response:
    made = requests.Response()
    made.status_code, made.reason = answer.status, answer.reason
    made.headers = CaseInsensitiveDict(answer.getheaders())
    made.encoding = get_encoding_from_headers(made.headers)
    made.raw = io.BytesIO(content)
    return made
