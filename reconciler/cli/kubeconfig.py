"""`reconciler kubeconfig`: what kubectl needs to reach this host's API, as a kubeconfig.

Called by `main.py`. It prints the administrator's token, so only root, who may read it, gets one.
"""

from __future__ import annotations

import base64
import ipaddress
import sys
from typing import Any

import yaml

from reconciler.core.errors import ReconcilerError
from reconciler.settings import Settings

_NAME = "reconciler"


class NoCredentials(ReconcilerError):
    """The daemon has made no certificates here yet, or they are not ours to read."""


def run_kubeconfig(settings: Settings) -> int:
    """Print a kubeconfig; return 0. Raises `NoCredentials`."""
    sys.stdout.write(yaml.safe_dump(kubeconfig(settings), sort_keys=False))
    return 0


def kubeconfig(settings: Settings) -> dict[str, Any]:
    """Return the kubeconfig of the administrator; raises `NoCredentials`."""
    try:
        authority = (settings.pki_dir / "ca.crt").read_bytes()
        token = (settings.pki_dir / "admin.token").read_text().strip()
    except FileNotFoundError as error:
        raise NoCredentials(
            f"{error.filename} is not there: start the daemon with this --state-dir once"
        ) from error
    except PermissionError as error:
        raise NoCredentials(f"{error.filename} may be read by root only") from error
    cluster = {
        "certificate-authority-data": base64.b64encode(authority).decode(),
        "server": f"https://{_reachable(settings.listen)}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": "admin"}}],
        "current-context": _NAME,
    }


def _reachable(listen: str) -> str:
    """Return an address to connect to: loopback where the daemon listens on every one."""
    host, _, port = listen.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]"))
    if address.is_unspecified:
        return f"127.0.0.1:{port}" if address.version == 4 else f"[::1]:{port}"  # noqa: PLR2004 - IPv4
    return listen
