"""One recorded vector against the REST face: requests in, answers compared as the README says.

Used by `test_http.py`. No socket: the API is called as the server calls it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from random import Random
from typing import Any
from urllib.parse import unquote

import yaml

from reconciler.apiserver.http.api import Api
from reconciler.apiserver.http.message import Answer, Reply, Request, Stream
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import bootstrap
from reconciler.apiserver.security.authentication import Authenticator
from reconciler.apiserver.security.identity import Identity, authenticated
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.namespace import Namespace
from reconciler.store.memory import MemoryStore

Json = Any

ADMIN = authenticated("admin", ("system:masters",), "admin-uid")
FREE = ("time", "age", "anyrv", "serverAddress", "pointer")
GO_VALUES = re.compile(
    r"(?:\[\])?(?:core|v1|resource)\.\w+\{.*?\}(?=: |, spec|\]$|$)"
    r"|map\[string\]string\{[^{}]*\}|\[\]string\{[^{}]*\}"
)
AGO = re.compile(r"\(\d+\w ago\)")
PARSER = re.compile(
    r"(json parse error: |yaml: |error decoding patch: |continue key is not valid: "
    r"|<secret contents redacted>\": ).*",
    re.DOTALL,
)


class Difference(AssertionError):
    """Our answer is not the recorded one."""


class Sink:
    """Takes what a stream writes."""

    def __init__(self) -> None:
        self.data = b""
        self.news = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.send(data)

    def send(self, data: bytes) -> bool:
        self.data += data
        self.news.set()
        return True

    async def drain(self) -> None:
        """Nobody is slow here."""

    def events(self) -> list[Json]:
        found = [json.loads(line) for line in self.data.splitlines()]
        return [event for event in found if event["type"] != "BOOKMARK"]


class Replay:
    """A cluster of its own for one vector."""

    def __init__(self, vector: dict[str, Json]) -> None:
        self.vector = vector
        self.steps = vector.get("steps", [vector])
        self.bound = {"ns": "space"}
        self.store = MemoryStore()
        self.registry = Registry(self.store, SystemClock(), Ids(Random(7)))
        self.api = Api(
            self.registry, SystemClock(), Authenticator("right"), address="127.0.0.1:6443"
        )
        self.streams: dict[str, tuple[Sink, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        await self.registry.start()
        if any("headers" in step.get("request", {}) for step in self.steps):
            await bootstrap.ensure(self.registry)  # somebody else may ask
        await self.registry.create(Namespace.model_validate({"metadata": {"name": "space"}}))
        self.store.compact()  # the recorded server's history did not reach back to its start
        try:
            for step in self.steps:
                await self.step(step)
        finally:
            for _, task in self.streams.values():
                task.cancel()
            await asyncio.gather(*(t for _, t in self.streams.values()), return_exceptions=True)

    async def step(self, step: dict[str, Json]) -> None:
        if "compact" in step:
            self.store.compact()
        elif "events" in step:
            await self.close(step)
        elif "request" in step:
            answer = await self.api.handle(self.request(self.fill(step["request"])))
            if isinstance(answer, Stream) and "stream" not in step:
                expect("code", step["response"]["code"], answer.code, "a stream")
                await answer.produce(Sink())
            elif isinstance(answer, Stream):
                sink = Sink()
                task = asyncio.get_running_loop().create_task(answer.produce(sink))
                self.streams[step["stream"]] = (sink, task)
                await asyncio.sleep(0)
            self.compare(step, answer)

    def request(self, sent: dict[str, Json]) -> Request:
        headers = {key.lower(): value for key, value in sent.get("headers", {}).items()}
        headers = {"accept": "application/json", "user-agent": "vector/1", **headers}
        body = sent.get("rawBody", "").encode()
        if "body" in sent:
            body = json.dumps(sent["body"]).encode()
        if body or "rawBody" in sent:
            headers.setdefault("content-type", "application/json")
        peer: Identity | None = ADMIN
        if "authorization" in headers:
            peer = None
            headers = {key: value for key, value in headers.items() if value}
        query = {
            key: value if isinstance(value, list) else [value]
            for key, value in sent.get("query", {}).items()
        }
        return Request(sent["method"], unquote(sent["path"]), query, headers, body, peer)

    def compare(self, step: dict[str, Json], answer: Answer) -> None:
        wanted = step["response"]
        expect("code", wanted["code"], answer.code, answer)
        if wanted.get("contentType"):
            expect("content type", wanted["contentType"], answer.content_type, answer)
        if isinstance(answer, Stream) or "body" not in wanted:
            return
        warnings = [str(text) for text in answer.warnings]
        expect("warnings", wanted.get("headers", {}).get("Warning", []), warnings, answer)
        if wanted.get("headers", {}).get("Retry-After"):
            expect("headers", True, "Retry-After" in dict(answer.headers), answer)
        self.body(step, wanted["body"], answer)

    def body(self, step: dict[str, Json], wanted: Json, answer: Reply) -> None:
        if isinstance(wanted, str) and self.vector.get("keep") == "shape":
            return
        if isinstance(wanted, str):
            found = answer.body.decode()
            if answer.content_type == "application/yaml":
                self.match(yaml.safe_load(wanted), yaml.safe_load(found), "")
            else:
                self.bind(wanted, found, "body")
            return
        found = json.loads(answer.body)
        keep = step.get("keep") or self.vector.get("keep")
        if "product has" in self.vector.get("note", "") or self.vector["name"].startswith(
            "aggregated"
        ):
            wanted = only_ours(wanted, found)
            found = without_our_group(found)
        if keep == "names":
            found = names(found)
        elif keep == "shape":
            self.match(wanted, shape(found), "")
            return
        if not self.vector.get("managedFields"):
            found = without_owners(found)
        if (
            isinstance(wanted, dict)
            and wanted.get("kind") == "Status"
            and wanted["status"] != "Success"
        ):
            self.status(wanted, found)
        else:
            self.match(wanted, found, "")

    def status(self, wanted: Json, found: Json) -> None:
        for key in ("status", "reason", "code"):
            expect(key, wanted.get(key), found.get(key), found)
        theirs, ours = wanted.get("details") or {}, found.get("details") or {}
        for key in ("kind", "name", "group"):
            self.match(theirs.get(key, ""), ours.get(key, ""), f"details.{key}")
        causes = [
            [(c.get("field"), c.get("reason")) for c in d.get("causes", ())] for d in (theirs, ours)
        ]
        expect("causes", *map(json.dumps, causes), found)
        told, message = (free(text["message"]) for text in (wanted, found))
        self.bind(told, message, "message")
        self.match(wanted["metadata"], found["metadata"], "metadata")

    async def close(self, step: dict[str, Json]) -> None:
        sink, task = self.streams[step["stream"]]
        wanted = step["events"]
        if step.get("closedByServer"):
            await asyncio.wait_for(task, 5)
        else:
            await settled(sink, len(wanted))
        found = sink.events()
        expect("number of events", len(wanted), len(found), found)
        for theirs, ours in zip(wanted, without_owners(found), strict=True):
            self.match(theirs, ours, "event")

    def fill(self, value: Json) -> Json:
        text = re.sub(
            r'"\$\{(port\d+)\}"|\$\{(\w+)\}',
            lambda m: self.bound.get(m[1] or m[2], m[0]),
            json.dumps(value),
        )
        return json.loads(text)

    def match(self, wanted: Json, found: Json, path: str) -> None:
        if isinstance(wanted, dict):
            expect(
                f"{path} keys",
                sorted(wanted),
                sorted(found) if isinstance(found, dict) else found,
                found,
            )
            for key, value in wanted.items():
                self.match(value, found[key], f"{path}.{key}")
        elif isinstance(wanted, list):
            expect(
                f"{path} length",
                len(wanted),
                len(found) if isinstance(found, list) else found,
                found,
            )
            for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
                self.match(one, other, f"{path}[{index}]")
        elif isinstance(wanted, str) and AGO.search(wanted):
            expect(path, AGO.sub("", wanted), AGO.sub("", found), found)
        elif isinstance(wanted, str) and "${" in wanted:
            self.bind(wanted, str(found), path)
        else:
            expect(path, wanted, found, found)

    def bind(self, wanted: str, found: str, path: str) -> None:
        pattern, fresh = "", []
        for part in re.split(r"(\$\{\w+\})", wanted):
            name = part[2:-1] if part.startswith("${") else ""
            if name in self.bound:
                pattern += re.escape(self.bound[name])
            elif name:
                fresh.append(name)
                pattern += "(.*?)" if name == "age" else "(.+?)"
            else:
                pattern += re.escape(part)
        matched = re.fullmatch(pattern, found, re.DOTALL)
        if not matched:
            raise Difference(f"{path}: wanted {wanted!r}, found {found!r}")
        pairs = zip(fresh, matched.groups(), strict=True)
        self.bound |= {name: value for name, value in pairs if name not in FREE}


async def settled(sink: Sink, wanted: int) -> None:
    """Wait until a watch has told all that is expected, or for a moment when it does not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while len(sink.events()) < wanted:
                sink.news.clear()
                await sink.news.wait()


def expect(what: str, wanted: Json, found: Json, answer: Json) -> None:
    if wanted != found:
        shown = answer.body.decode() if isinstance(answer, Reply) else answer
        raise Difference(f"{what}: wanted {wanted!r}, found {found!r} in {str(shown)[:600]}")


def free(message: str) -> str:
    """Make alike what may differ: Go values, a parser's own words, a diff after its first line."""
    if "updates may not change" in message or "spec is immutable after creation" in message:
        message = message.partition("\n")[0]
    return PARSER.sub(r"\1", GO_VALUES.sub("<value>", message))


def only_ours(wanted: Json, found: Json) -> Json:
    """Keep of a recorded discovery document what this server has, at every level."""
    for key in ("resources", "subresources", "items", "versions", "groups"):
        if key in wanted and key in found:
            named = {label(each): each for each in found[key]}
            kept = [only_ours(e, named[label(e)]) for e in wanted[key] if label(e) in named]
            wanted = {**wanted, key: kept}
    dropped = "subresources" if "subresources" not in found else ""
    return {key: value for key, value in wanted.items() if key != dropped}


def without_our_group(found: Json) -> Json:
    """Leave the one group out that no other server has."""
    if "groups" not in found:
        return found
    theirs = [each for each in found["groups"] if not each["name"].endswith(".reconciler.dev")]
    return {**found, "groups": theirs}


def label(row: Json) -> str:
    found = row.get("name") or row.get("resource") or row.get("subresource")
    return str(found or row.get("version") or row.get("metadata"))


def names(found: Json) -> Json:
    """Keep of a list what was recorded of it: kind and item names."""
    if "items" not in found:
        return found
    items = [{"metadata": {"name": item["metadata"]["name"]}} for item in found["items"]]
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "items": items}


def shape(found: Json) -> Json:
    if isinstance(found, dict):
        return {key: shape(value) for key, value in found.items()}
    if isinstance(found, list):
        return [shape(value) for value in found[:1]]
    return {str: "<str>", int: "<int>", bool: "<bool>"}.get(type(found), "<str>")


def without_owners(found: Json) -> Json:
    if isinstance(found, list):
        return [without_owners(each) for each in found]
    if isinstance(found, dict):
        return {k: without_owners(v) for k, v in found.items() if k != "managedFields"}
    return found


async def replay(vector: dict[str, Json]) -> None:
    """Run one vector; raises `Difference` at the first answer that is another."""
    await Replay(vector).run()
