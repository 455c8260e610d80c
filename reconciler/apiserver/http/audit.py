"""Who did what: one line of the log for each request that the setting `audit` wants told.

Called by `api.py` around every request. A line says who asked, for what, and what came of it; of
bodies and tokens it says nothing. Every answer carries the header Audit-Id, by which its line is
found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog

from reconciler.apiserver.http import access
from reconciler.apiserver.http.message import Answer, Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.virtual import AUTHENTICATION, AUTHORIZATION
from reconciler.apiserver.security.attributes import Attributes
from reconciler.apiserver.security.identity import Identity

Level = Literal["none", "writes", "all"]
"""Which requests are told: none, those that change or enter something, or all."""

HEADER = "Audit-Id"
_READ = ("get", "list", "watch")
_ENTERING = ("attach", "exec", "portforward", "proxy")  # written by GET as well
_REVIEWS = (AUTHENTICATION, AUTHORIZATION)  # created, and change nothing
_LONGEST = 256
# What was created, as every object of ours begins; and what a refusal is about.
_NAME = re.compile(rb'"(?:metadata|details)":\{"name":"([^"\\]+)"')
_HEAD = 512


@dataclass(slots=True)
class Trail:
    """What is known of a request so far. `actor` is who asked, `user` whom he acts as."""

    id: str
    actor: Identity | None = None
    user: Identity | None = None
    place: Target | None = None


class Audit:
    """See the module. `uid` makes ids for requests that bring none."""

    def __init__(self, level: Level, uid: Callable[[], str]) -> None:
        self._level = level
        self._uid = uid
        self._log = structlog.get_logger(component="api")

    def begin(self, request: Request) -> Trail:
        """Return the trail of a new request; a client may have chosen the id."""
        given = request.headers.get(HEADER.lower(), "")
        return Trail(given if 0 < len(given) <= _LONGEST and given.isprintable() else self._uid())

    def end(self, trail: Trail, request: Request, answer: Answer) -> Answer:
        """Tell the request when it is to be told; return the answer with its id."""
        if self._level != "none":
            asked = _asked(request, trail.place)
            if self._level == "all" or is_write(asked):
                self._log.info("api.audit", **_told(trail, request, asked, answer))
        return replace(answer, headers=(*answer.headers, (HEADER, trail.id)))


def is_write(asked: Attributes) -> bool:
    """Say whether a request changes something, or enters a container or service."""
    if asked.group in _REVIEWS:
        return False
    return asked.verb not in _READ or asked.subresource in _ENTERING


def _asked(request: Request, place: Target | None) -> Attributes:
    return access.of_path(request) if place is None else access.of_place(request, place)


def _told(trail: Trail, request: Request, asked: Attributes, answer: Answer) -> dict[str, Any]:
    line: dict[str, Any] = {
        "audit_id": trail.id,
        "user": trail.user.name if trail.user else "",
        "groups": list(trail.user.groups) if trail.user else [],
        "verb": asked.verb,
        "code": answer.code,
        "address": request.source,
        "user_agent": request.headers.get("user-agent", "")[:_LONGEST],
    }
    if trail.actor is not None and trail.actor is not trail.user:
        line["impersonated_by"] = trail.actor.name
    if request.query.get("dryRun"):
        line["dry_run"] = True
    if not asked.is_resource:
        return {**line, "path": asked.path[:_LONGEST]}
    parts = (asked.plural, asked.subresource)
    about = {
        "api_group": asked.group,
        "resource": "/".join(filter(None, parts)),
        "namespace": asked.namespace,
        "name": asked.name or _name(asked, answer),
    }
    return {**line, **about}


def _name(asked: Attributes, answer: Answer) -> str:
    """Return the name of what was created, or could not be."""
    if asked.verb != "create" or not isinstance(answer, Reply):
        return ""
    found = _NAME.search(answer.body, 0, _HEAD)
    return found[1].decode("utf-8", "replace") if found else ""
