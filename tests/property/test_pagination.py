"""Lists in pages, while others write: together the pages are the list of when it was begun."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.apiserver.http.api import Api
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security.authentication import Authenticator
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.store.memory import MemoryStore

MAPS = "/api/v1/namespaces/default/configmaps"
NAMES = st.sampled_from([f"m-{letter}" for letter in "abcdefgh"])
WRITES = st.lists(st.tuples(st.sampled_from(["POST", "DELETE", "PATCH"]), NAMES), max_size=6)


class World:
    """An API, and what should be in it."""

    def __init__(self) -> None:
        self.registry = Registry(MemoryStore(), SystemClock(), Ids(Random(3)))
        self.api = Api(self.registry, SystemClock(), Authenticator("right"), address="")
        self.there: set[str] = set()

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        headers = {"authorization": "Bearer right"}
        if method == "PATCH":
            headers["content-type"] = "application/merge-patch+json"
        given_ = {key.rstrip("_"): [value] for key, value in query.items()}
        sent = b"" if body is None else json.dumps(body).encode()
        answer = await self.api.handle(Request(method, path, given_, headers, sent))
        assert isinstance(answer, Reply)
        return json.loads(answer.body)

    async def write(self, method: str, name: str) -> None:
        meta = {"name": name, "labels": {"even": str(ord(name[-1]) % 2 == 0)}}
        if method == "POST":
            await self.ask("POST", MAPS, {"metadata": meta})
            self.there.add(name)
        elif method == "DELETE":
            await self.ask("DELETE", f"{MAPS}/{name}")
            self.there.discard(name)
        else:
            await self.ask("PATCH", f"{MAPS}/{name}", {"data": {"k": "v"}})


async def _paged(world: World, limit: int, between: list[Any], **query: str) -> list[str]:
    """Return the names of all pages; after each page somebody writes."""
    names: list[str] = []
    token, version, left = "", "", list(between)
    while True:
        page = await world.ask("GET", MAPS, limit=str(limit), continue_=token, **query)
        assert page["kind"] == "ConfigMapList", page
        assert len(page["items"]) <= limit
        version = version or page["metadata"]["resourceVersion"]
        assert page["metadata"]["resourceVersion"] == version
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        if not token:
            return names
        for _ in range(2):
            if left:
                await world.write(*left.pop())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WRITES, WRITES, st.integers(1, 4))
def test_pages_are_the_list_of_when_it_was_begun(
    before: list[tuple[str, str]], between: list[tuple[str, str]], limit: int
) -> None:
    async def check() -> None:
        world = World()
        await world.registry.start()
        for write in before:
            await world.write(*write)
        begun = sorted(world.there)
        assert await _paged(world, limit, between) == begun
        now = sorted(world.there)
        even = [name for name in now if ord(name[-1]) % 2 == 0]
        assert await _paged(world, limit, [], labelSelector="even=True") == even

    asyncio.run(check())
