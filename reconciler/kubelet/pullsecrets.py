"""Credentials for an image from the pod's imagePullSecrets. Pure; Kubernetes' credentialprovider.

Called by `starter.py`. Secrets of the types kubernetes.io/dockerconfigjson and dockercfg hold
accounts by registry, each with host (which may have `*` for a part), port and path; the accounts
that match an image are tried from the longest key to the shortest. What cannot be read is left
out, as the pull then says what is missing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from reconciler.kubelet.runtime import Credentials
from reconciler.model.config import Secret

_FILES = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}
_HUB, _HUB_KEY = "docker.io", "index.docker.io"


def credentials(image: str, secrets: Iterable[Secret]) -> tuple[Credentials, ...]:
    """Return the accounts to try for an image, the closest match first."""
    place = _repository(image)
    found: dict[str, list[Credentials]] = {}
    for secret in secrets:
        for server, account in _accounts(secret):
            key = _key(server)
            if key and _matches(key, place):
                found.setdefault(key, []).append(account)
    ordered = (account for key in sorted(found, reverse=True) for account in found[key])
    return tuple(dict.fromkeys(ordered))


def _accounts(secret: Secret) -> Iterator[tuple[str, Credentials]]:
    file = _FILES.get(secret.type, "")
    try:
        content = json.loads(base64.b64decode(secret.data.get(file, "")))
    except (ValueError, binascii.Error):
        return
    if secret.type.endswith("json"):
        content = content.get("auths") if isinstance(content, dict) else None
    for server, entry in (content if isinstance(content, dict) else {}).items():
        account = _account(entry) if isinstance(entry, dict) else None
        if account is not None:
            yield server, account


def _account(entry: Mapping[str, Any]) -> Credentials | None:
    """Return user and password; `auth` holds both where they are not given each."""
    user, password = entry.get("username"), entry.get("password")
    if not user and isinstance(entry.get("auth"), str):
        try:
            text = base64.b64decode(entry["auth"]).decode()
        except (ValueError, binascii.Error):
            return None
        user, _, password = text.partition(":")
    if not isinstance(user, str) or not user:
        return None
    return Credentials(user, password if isinstance(password, str) else "")


def _repository(image: str) -> str:
    """Return an image's registry and path: `nginx:1` is docker.io/library/nginx."""
    name = image.partition("@")[0]
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        host, path = head, rest
    else:
        host, path = _HUB, name if slash else f"library/{name}"
    return f"{host}/{path.partition(':')[0]}"


def _key(server: str) -> str:
    """Return `host[:port][/path]` of a server's name or URL, without an API version."""
    parts = urlsplit(server if "://" in server else f"https://{server}")
    path = parts.path
    for version in ("/v1/", "/v2/"):
        path = path.removeprefix(version)
    path = path.strip("/")
    path = "" if path in ("v1", "v2") else path
    return f"{parts.netloc}/{path}".rstrip("/")


def _matches(key: str, place: str) -> bool:
    host, _, path = key.partition("/")
    theirs, _, image = place.partition("/")
    if theirs == _HUB and host in (_HUB, _HUB_KEY):
        host = theirs
    name, _, port = host.partition(":")
    their_name, _, their_port = theirs.partition(":")
    if port != their_port or not _same_host(name, their_name):
        return False
    return not path or image == path or image.startswith(f"{path}/")


def _same_host(pattern: str, name: str) -> bool:
    """Each part between dots is matched by itself: `*.io` is not `a.b.io`."""
    patterns, parts = pattern.split("."), name.split(".")
    pairs = zip(patterns, parts, strict=False)
    return len(patterns) == len(parts) and all(fnmatchcase(part, each) for each, part in pairs)
