"""How a client asks for SPDY/3.1 and a protocol in it: k8s.io/apimachinery httpstream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from reconciler.apiserver.http.message import Duplex, Request, Upgrade
from reconciler.apiserver.registry.errors import StatusError

_PROTOCOL_HEADER = "X-Stream-Protocol-Version"


def asked(request: Request) -> bool:
    """Say whether a request wants to become SPDY/3.1."""
    return (
        "upgrade" in request.headers.get("connection", "").lower()
        and request.headers.get("upgrade", "").lower() == "spdy/3.1"
    )


def chosen(request: Request, known: Sequence[str]) -> str:
    """Return the first offered protocol that we know, "" when none is offered.

    Raises `StatusError` 403 when none of those offered is known.
    """
    text = request.headers.get(_PROTOCOL_HEADER.lower(), "")
    names = [each.strip() for each in text.split(",") if each.strip()]
    if not names:
        return ""
    for name in names:
        if name in known:
            return name
    raise StatusError(
        403,
        "Forbidden",
        f"unable to upgrade: unable to negotiate protocol: client supports"
        f" [{' '.join(names)}], server supports [{' '.join(known)}]",
    )


def upgrade(protocol: str, serve: Callable[[Duplex], Awaitable[None]]) -> Upgrade:
    """Return the answer that makes the connection SPDY/3.1."""
    headers = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
    if protocol:
        headers.append((_PROTOCOL_HEADER, protocol))
    return Upgrade(serve, headers)
