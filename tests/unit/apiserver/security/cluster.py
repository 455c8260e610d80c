"""An API without sockets whose users are impersonated, for the tests of this folder."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from reconciler.apiserver.http.api import Api
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import bootstrap
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.apiserver.security.authentication import Authenticator
from reconciler.apiserver.security.signing import SigningKeys
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.store.memory import MemoryStore

ISSUER = "https://kubernetes.default.svc.cluster.local"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"


class JumpingClock(SystemClock):
    """The host's clock, and what a test puts on it."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


class Cluster:
    """`ask` is the administrator's; `ask_as` another's. Tokens need a `folder` for their keys."""

    def __init__(self, folder: Path | None = None) -> None:
        self.clock = JumpingClock()
        ids = Ids(Random(3))
        self.registry = Registry(MemoryStore(), self.clock, ids)
        self.keys = SigningKeys((folder or Path("/nowhere")) / "account.keys")
        self.tokens = AccountTokens(self.registry, self.keys, self.clock, ids, ISSUER)
        if folder is not None:
            self.keys.ensure(self.clock.now())
        authenticator = Authenticator("right", self.tokens)
        self.api = Api(self.registry, self.clock, authenticator, address="127.0.0.1:6443")

    async def start(self) -> Cluster:
        await self.registry.start()
        await bootstrap.ensure(self.registry)
        return self

    async def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        pairs = [each.partition("=")[::2] for each in query.split("&") if each]
        named = {"authorization": "Bearer right", "content-type": "application/json"}
        named |= {key.replace("_", "-"): value for key, value in headers.items()}
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(method, path, {key: [value] for key, value in pairs}, named, content)
        answer = await self.api.handle(request)
        assert isinstance(answer, Reply)
        text = answer.body.decode()
        return answer.code, json.loads(text) if text.startswith("{") else text

    async def ask_as(
        self, user: str, method: str, path: str, body: Any = None, groups: str = ""
    ) -> tuple[int, Any]:
        headers = {"impersonate-user": user}
        if groups:
            headers["impersonate-group"] = groups
        return await self.ask(method, path, body, **headers)

    async def role(self, name: str, *rules: dict[str, Any], namespace: str = "") -> None:
        kind = "Role" if namespace else "ClusterRole"
        await self._make(kind, name, namespace, {"rules": rules})

    async def bind(
        self, name: str, role: str, *users: str, namespace: str = "", cluster_role: bool = True
    ) -> None:
        kind = "RoleBinding" if namespace else "ClusterRoleBinding"
        ref = {"kind": "ClusterRole" if cluster_role else "Role", "name": role}
        subjects = [{"kind": "User", "name": user} for user in users]
        await self._make(kind, name, namespace, {"roleRef": ref, "subjects": subjects})

    async def _make(self, kind: str, name: str, namespace: str, body: dict[str, Any]) -> None:
        space = f"/namespaces/{namespace}" if namespace else ""
        body = {"metadata": {"name": name}, **body}
        code, answer = await self.ask("POST", f"{RBAC}{space}/{kind.lower()}s", body)
        assert code == 201, answer


def on(verbs: str, resources: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {
        "verbs": verbs.split(),
        "resources": resources.split(),
        "apiGroups": [group],
        **more,
    }
