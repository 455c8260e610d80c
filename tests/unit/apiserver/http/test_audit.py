"""Audit lines: which requests are told, what a line says, and what it must not say."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
import structlog

from reconciler.apiserver.http.api import Api
from reconciler.apiserver.http.audit import Level
from reconciler.apiserver.http.message import Answer, Request
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import bootstrap
from reconciler.apiserver.security.authentication import Authenticator
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.store.memory import MemoryStore

MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"


async def answers(level: Level, *requests: Request) -> tuple[list[Answer], list[dict[str, Any]]]:
    registry = Registry(MemoryStore(), SystemClock(), Ids(Random(3)))
    await registry.start()
    await bootstrap.ensure(registry)
    api = Api(registry, SystemClock(), Authenticator("right"), address="a:1", audit=level)
    with structlog.testing.capture_logs() as lines:
        given = [await api.handle(request) for request in requests]
    return given, [line for line in lines if line["event"] == "api.audit"]


def ask(method: str, path: str, body: Any = None, **headers: str) -> Request:
    named = {"authorization": "Bearer right", "user-agent": "test/1"}
    named |= {key.replace("_", "-"): value for key, value in headers.items()}
    path, _, query = path.partition("?")
    pairs = {key: [value] for key, _, value in [query.partition("=")] if key}
    content = b"" if body is None else json.dumps(body).encode()
    return Request(method, path, pairs, named, content, source="10.1.2.3")


def header(answer: Answer) -> str:
    return dict(answer.headers)["Audit-Id"]


async def test_a_write_is_told_whole() -> None:
    (answer,), (line,) = await answers("writes", ask("POST", MAPS, {"metadata": {"name": "m"}}))
    assert line == {
        "event": "api.audit",
        "log_level": "info",
        "component": "api",
        "audit_id": header(answer),
        "user": "admin",
        "groups": ["system:masters", "system:authenticated"],
        "verb": "create",
        "code": 201,
        "address": "10.1.2.3",
        "user_agent": "test/1",
        "api_group": "",
        "resource": "configmaps",
        "namespace": "default",
        "name": "m",
    }


READ = ask("GET", MAPS)
REVIEW = ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
ENTER = ask("GET", "/api/v1/namespaces/default/pods/p/exec")
WRITE = ask("DELETE", f"{MAPS}/m")
REFUSED = ask("DELETE", f"{MAPS}/m", impersonate_user="jane")
STRANGER = ask("DELETE", f"{MAPS}/m", authorization="Bearer wrong")


@pytest.mark.parametrize(
    ("level", "told"),
    [("none", 0), ("writes", 4), ("all", 6)],
)
async def test_which_requests_are_told(level: Level, told: int) -> None:
    given, lines = await answers(level, READ, REVIEW, ENTER, WRITE, REFUSED, STRANGER)
    assert len(lines) == told
    assert len({header(answer) for answer in given}) == 6  # each has its own, told or not


async def test_who_acts_as_another_is_told_too() -> None:
    _, lines = await answers("writes", REFUSED, STRANGER)
    assert (lines[0]["user"], lines[0]["impersonated_by"], lines[0]["code"]) == (
        "jane",
        "admin",
        403,
    )
    assert (lines[1]["user"], lines[1]["code"]) == ("", 401)


async def test_no_line_tells_what_is_in_a_secret_or_a_token() -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    _, lines = await answers("all", ask("POST", SECRETS, secret), ask("GET", f"{SECRETS}/s"))
    text = json.dumps(lines)
    assert "hunter2" not in text
    assert "Bearer" not in text
    assert [line["name"] for line in lines] == ["s", "s"]


async def test_a_dry_run_is_told_as_one() -> None:
    _, (line,) = await answers(
        "writes", ask("POST", f"{MAPS}?dryRun=All", {"metadata": {"name": "m"}})
    )
    assert line["dry_run"] is True


async def test_a_path_that_is_no_resource_is_told() -> None:
    _, (line,) = await answers("all", ask("GET", "/version"))
    assert (line["verb"], line["path"]) == ("get", "/version")
    assert "resource" not in line


async def test_a_client_may_choose_its_id_and_cannot_break_the_header() -> None:
    chosen, broken = ask("GET", MAPS, audit_id="mine"), ask("GET", MAPS, audit_id="a\r\nX: b")
    given, _ = await answers("none", chosen, broken)
    assert header(given[0]) == "mine"
    assert "\r" not in header(given[1])
