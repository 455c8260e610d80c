"""Documents that a client may keep: their ETag, and 304 for who has them already.

Used by discovery and OpenAPI, which change with the program alone. Pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from reconciler.apiserver.http.message import Reply, Request

_NOT_MODIFIED = 304


def mark(content: bytes) -> str:
    """Return what tells a document from any other."""
    return hashlib.sha256(content).hexdigest().upper()


def tagged(reply: Reply, request: Request, of: str) -> Reply:
    """Return a document with its ETag `of`, or 304 where `If-None-Match` names it."""
    tag = f'"{of}"'
    headers = (*reply.headers, ("ETag", tag), ("Vary", "Accept"))
    known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or f"W/{tag}" in known or "*" in known:
        return Reply(_NOT_MODIFIED, b"", "", headers)
    return replace(reply, headers=headers)
