"""The running daemon's API over its Unix socket, for the commands that say something to it.

Called by `approve`, `suspend`, `resume` and `undelete`. Root on this host may use the socket
without a token.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.core.errors import ReconcilerError
from reconciler.model import kinds
from reconciler.model.meta import ObjectKey
from reconciler.settings import Settings

_TIMEOUT_SECONDS = 10.0
_OK = 200


class DaemonUnreachable(ReconcilerError):
    """No daemon answers on the socket, or it refused."""


def patch(settings: Settings, key: ObjectKey, change: Mapping[str, Any]) -> None:
    """Merge `change` (RFC 7396) into an object; raises `DaemonUnreachable`."""
    connection = _UnixConnection(settings.api_socket)
    try:
        connection.request(
            "PATCH",
            f"{_path(key)}?fieldManager=reconciler-cli",
            body=json.dumps(change),
            headers={"Content-Type": "application/merge-patch+json", "Host": "localhost"},
        )
        answer = connection.getresponse()
        body = answer.read()
    except OSError as error:
        raise DaemonUnreachable(f"no daemon answers on {settings.api_socket}: {error}") from error
    finally:
        connection.close()
    if answer.status != _OK:
        raise DaemonUnreachable(f"the daemon refused: {_message(body)}")


def _path(key: ObjectKey) -> str:
    resource = kinds.by_key_kind(key.kind)
    if resource is None:
        raise DaemonUnreachable(f"no resource is known for {key}")
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    place = f"/namespaces/{key.namespace}" if key.namespace else ""
    return f"{root}{place}/{resource.plural}/{key.name}"


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
