"""Which account of the pull secrets goes with which image."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from reconciler.kubelet.pullsecrets import credentials
from reconciler.kubelet.runtime import Credentials
from reconciler.model.config import Secret


def secret(servers: dict[str, Any], kind: str = "dockerconfigjson") -> Secret:
    content = {"auths": servers} if kind == "dockerconfigjson" else servers
    data = base64.b64encode(json.dumps(content).encode()).decode()
    manifest = {"type": f"kubernetes.io/{kind}", "data": {f".{kind}": data}}
    return Secret.model_validate_json(json.dumps({"metadata": {"name": "s"}, **manifest}))


def account(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:pass:word".encode()).decode()}


@pytest.mark.parametrize(
    ("server", "image"),
    [
        ("registry.example.com", "registry.example.com/app:1"),
        ("https://registry.example.com/v2/", "registry.example.com/app@sha256:00"),
        ("http://registry.example.com:5000", "registry.example.com:5000/team/app"),
        ("registry.example.com/team", "registry.example.com/team/app"),
        ("*.example.com", "registry.example.com/app"),
        ("https://index.docker.io/v1/", "nginx"),
        ("index.docker.io", "team/app:2"),
        ("docker.io", "docker.io/library/nginx"),
        ("localhost:5000", "localhost:5000/app"),
    ],
)
@pytest.mark.parametrize("kind", ["dockerconfigjson", "dockercfg"])
def test_an_account_matches(server: str, image: str, kind: str) -> None:
    found = credentials(image, [secret({server: account("me")}, kind)])
    assert found == (Credentials("me", "pass:word"),)


@pytest.mark.parametrize(
    ("server", "image"),
    [
        ("registry.example.com", "other.example.com/app"),
        ("registry.example.com", "registry.example.com:5000/app"),
        ("registry.example.com/team", "registry.example.com/teams/app"),
        ("*.com", "registry.example.com/app"),
        ("registry.example.com", "app"),
        ("", "app"),
    ],
)
def test_an_account_does_not_match(server: str, image: str) -> None:
    assert credentials(image, [secret({server: account("me")})]) == ()


def test_the_longest_key_is_tried_first_and_each_account_once() -> None:
    host, path = "r.example.com", "r.example.com/team"
    first = secret({host: account("wide"), path: account("close")})
    second = secret({host: {"username": "other", "password": "p"}, "x": account("no")})
    users = [each.username for each in credentials(f"{path}/app", [first, second, first])]
    assert users == ["close", "wide", "other"]


@pytest.mark.parametrize(
    "content", ["", "nonsense", "[]", '{"auths": []}', '{"auths": {"r.io": "x"}}',
                '{"auths": {"r.io": {"auth": "%%%"}}}', '{"auths": {"r.io": {}}}']
)  # fmt: skip
def test_what_cannot_be_read_is_left_out(content: str) -> None:
    data = {".dockerconfigjson": base64.b64encode(content.encode()).decode()}
    kind = "kubernetes.io/dockerconfigjson"
    broken = Secret.model_validate_json(
        json.dumps({"metadata": {"name": "s"}, "type": kind, "data": data})
    )
    assert credentials("r.io/app", [broken, secret({"r.io": account("me")})]) != ()
    assert credentials("r.io/app", [broken.replace(type="Opaque")]) == ()


def test_a_password_does_not_show() -> None:
    assert "pass:word" not in repr(credentials("r.io/a", [secret({"r.io": account("me")})]))
