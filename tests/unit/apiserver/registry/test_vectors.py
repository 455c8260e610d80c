"""The registry against recorded answers of a real kube-apiserver, without its REST face.

The small translator below turns recorded requests into registry calls; what needs the REST face
(other patch types, collections, quota, logs) is left to its own suite.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.admission.decode import decode
from reconciler.admission.errors import AdmissionError
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.errors import StatusError, bad_request, refused
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model import kinds
from reconciler.store.memory import MemoryStore

OWN = Path(__file__).parents[3] / "vectors" / "own"

WANTED = {
    "semantics": ("rv/", "preconditions/", "generateName/", "status/", "immutable/", "generation/"),
    "deletion-admission": (
        "delete/", "propagation/", "finalizer/", "namespace/", "allocation/", "binding/",
    ),
    "patches": ("apply/",),
    "defaulting": ("",),
    "validation-service": ("service/stored-", "service/ipFam", "service/headless"),
}  # fmt: skip

ELSEWHERE = {
    "apply/no-manager": "query parameters are the REST face's",
    "apply/name-differs": "URLs are the REST face's",
    "apply/no-kind": "URLs are the REST face's",
    "apply/kind-differs": "URLs are the REST face's",
    "apply/duplicate-list-key": "we own such a list whole instead of failing with 500",
    "apply/wrong-type": "a wrong type is answered by our decoder's 400 instead of a 500",
    "rv/patch-namespace": "URLs are the REST face's",
    "rv/patch-uid-wrong": "patch bodies are the REST face's",
    "binding/no-target": "the Binding body is the REST face's",
    "finalizer/add-while-deleting": "Kubernetes tells this fault twice, we once",
    "immutable/pod-image-space": "we tell the image's fault and not also the changed pull policy",
    "node/minimal": "no taint at birth: a node registers with its conditions",
    "namespace/delete-kube-public": "there is no such namespace here",
    "delete/pvc-has-finalizer": "protection finalizers come with their controllers",
    "delete/pv-has-finalizer": "protection finalizers come with their controllers",
    "status/pvc": "protection finalizers come with their controllers",
    "immutable/pvc-": "protection finalizers come with their controllers",
    "pvc/": "protection finalizers come with their controllers",
    "pv/": "protection finalizers come with their controllers",
    "immutable/pv-": "protection finalizers come with their controllers",
}

Json = Any


def vectors() -> Iterator[Any]:
    for area, wanted in WANTED.items():
        recorded = json.loads((OWN / f"{area}.json").read_text())
        for vector in recorded["vectors"]:
            name = vector["name"]
            if name.startswith(wanted) and not _elsewhere(name) and _speakable(vector):
                yield pytest.param(vector, id=f"{area}:{name}")


def _elsewhere(name: str) -> bool:
    return any(name == key or (key[-1] in "/-" and name.startswith(key)) for key in ELSEWHERE)


def _speakable(vector: dict[str, Json]) -> bool:
    return all(_kind_of_patch(step) is not None for step in _steps(vector))


def _steps(vector: dict[str, Json]) -> list[dict[str, Json]]:
    return [step for step in vector.get("steps", [vector]) if "request" in step]


def _kind_of_patch(step: dict[str, Json]) -> str | None:
    request = step["request"]
    if request["method"] not in ("GET", "POST", "PUT", "DELETE", "PATCH") or "rawBody" in request:
        return None
    if request["method"] != "PATCH":
        return ""
    content = request.get("headers", {}).get("Content-Type", "")
    if "apply" in content:
        return "apply"
    return "merge" if content in ("application/merge-patch+json", MERGEABLE) else None


# A strategic merge patch that touches no list is a merge patch.
MERGEABLE = "application/strategic-merge-patch+json"

PATH = re.compile(
    r"/api/v1(?:/namespaces/(?P<ns>[^/]+)(?=/\w))?/(?P<plural>\w+)(?:/(?P<name>[^/]+))?"
    r"(?:/(?P<sub>\w+))?"
)
TOP = re.compile(r"/api/v1/namespaces(?:/(?P<name>[^/]+))?(?:/(?P<sub>status|finalize))?")


class Replay:
    """One vector against a registry of its own."""

    def __init__(self, vector: dict[str, Json]) -> None:
        self.vector = vector
        self.bound = {"ns": "space"}
        self.registry = Registry(MemoryStore(), SystemClock(), Ids(Random(7)))

    async def run(self) -> None:
        await self.registry.start()
        await self.registry.create(decode(_named("Namespace", "space")))
        for step in _steps(self.vector):
            await self.step(step)

    async def step(self, step: dict[str, Json]) -> None:
        request = self.fill(step["request"])
        wanted = step["response"]
        try:
            found = 200, await self.call(request)
        except StatusError as error:
            found = error.code, _status(error)
        code, body = found
        if wanted["code"] not in (200, 201) or code not in (200, 201):
            assert code == wanted["code"], body
        self.match(wanted["body"], self.tidy(body), "")

    async def call(self, request: dict[str, Json]) -> Json:
        top = TOP.fullmatch(request["path"])
        parts = (top or PATH.fullmatch(request["path"])).groupdict()  # type: ignore[union-attr]
        resource = kinds.by_plural("", "v1", "namespaces" if top else parts["plural"])
        assert resource
        verb = getattr(self, request["method"].lower())
        return await verb(request, resource, parts.get("ns") or "", parts["name"], parts["sub"])

    async def get(self, request: Json, resource: Any, ns: str, name: str, sub: str) -> Json:
        return self.registry.get(resource.model, name, ns).to_dict()

    async def post(self, request: Json, resource: Any, ns: str, name: str, sub: str) -> Json:
        if sub == "binding":
            await self.registry.bind(name, ns, request["body"]["target"]["name"])
            return {}
        return (
            await self.registry.create(_typed(request["body"], ns), **_flags(request))
        ).to_dict()

    async def put(self, request: Json, resource: Any, ns: str, name: str, sub: str) -> Json:
        obj = _typed(request["body"], ns)
        return (await self.registry.update(obj, subresource=sub or "", **_flags(request))).to_dict()

    async def patch(self, request: Json, resource: Any, ns: str, name: str, sub: str) -> Json:
        if "apply" in request["headers"]["Content-Type"]:
            body = json.loads(json.dumps(request["body"]))
            body["metadata"]["namespace"] = ns
            force = request.get("query", {}).get("force") == "true"
            flags = _flags(request)
            return (
                await self.registry.apply(body, force=force, subresource=sub or "", **flags)
            ).to_dict()
        live = self.registry.get(resource.model, name, ns).to_dict()
        obj = _typed(_merged(live, request["body"]), ns)
        return (await self.registry.update(obj, subresource=sub or "", **_flags(request))).to_dict()

    async def delete(self, request: Json, resource: Any, ns: str, name: str, sub: str) -> Json:
        obj, gone = await self.registry.delete(resource.model, name, ns, _options(request))
        if gone and resource.kind not in ("Pod", "ServiceAccount", "Namespace"):
            meta = obj.metadata
            details = {"kind": resource.plural, "name": meta.name, "uid": meta.uid}
            return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": details}  # fmt: skip
        return obj.to_dict()

    def fill(self, value: Json) -> Json:
        text = re.sub(
            r'"\$\{(port\d+)\}"|\$\{(\w+)\}',
            lambda m: self.bound.get(m[1] or m[2], m[0]),
            json.dumps(value),
        )
        return json.loads(text)

    def tidy(self, value: Json) -> Json:
        if isinstance(value, dict) and "metadata" in value and not self.vector.get("managedFields"):
            value["metadata"].pop("managedFields", None)
        return value

    def match(self, wanted: Json, found: Json, path: str) -> None:
        if isinstance(wanted, dict):
            assert isinstance(found, dict), f"{path}: {found!r}"
            assert sorted(wanted) == sorted(found), f"{path}: {found}"
            for key, value in wanted.items():
                self.match(value, found[key], f"{path}.{key}")
        elif isinstance(wanted, list):
            assert isinstance(found, list), path
            assert len(wanted) == len(found), f"{path}: {found}"
            for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
                self.match(one, other, f"{path}[{index}]")
        elif isinstance(wanted, str) and "${" in wanted:
            self.bind(wanted, str(found), path)
        elif path.endswith("message") and "updates may not change" in wanted:
            assert wanted.splitlines()[0] == found.splitlines()[0], path
        else:
            assert wanted == found, f"{path}: wanted {wanted!r}, found {found!r}"

    def bind(self, wanted: str, found: str, path: str) -> None:
        pattern = ""
        names = []
        for part in re.split(r"(\$\{\w+\})", wanted):
            name = part[2:-1] if part.startswith("${") else ""
            if name in self.bound:
                pattern += re.escape(self.bound[name])
            elif name:
                names.append(name)
                pattern += "(.+?)"
            else:
                pattern += re.escape(part)
        match = re.fullmatch(pattern, found)
        assert match, f"{path}: wanted {wanted!r}, found {found!r}"
        unbound = ("time", "age", "anyrv")
        self.bound |= {n: v for n, v in zip(names, match.groups(), strict=True) if n not in unbound}


def _named(kind: str, name: str) -> dict[str, Json]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


def _typed(body: Json, namespace: str) -> Any:
    body = json.loads(json.dumps(body))
    body.setdefault("metadata", {})
    if namespace:
        body["metadata"]["namespace"] = namespace
    try:
        return decode(body)
    except AdmissionError as error:
        raise refused(error) from error


def _flags(request: Json) -> dict[str, Any]:
    query = request.get("query", {})
    return {"manager": query.get("fieldManager", "vector"), "dry_run": query.get("dryRun") == "All"}


def _options(request: Json) -> DeleteOptions:
    body, query = request.get("body") or {}, request.get("query", {})
    grace = query.get("gracePeriodSeconds", body.get("gracePeriodSeconds"))
    propagation = query.get("propagationPolicy", body.get("propagationPolicy"))
    orphan = body.get("orphanDependents")
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    if propagation not in (None, "Background", "Foreground", "Orphan"):
        raise bad_request("invalid propagation")
    conditions = body.get("preconditions", {})
    return DeleteOptions(
        uid=conditions.get("uid", ""),
        resource_version=conditions.get("resourceVersion", ""),
        grace_period_seconds=None if grace is None else int(grace),
        propagation=propagation,
        dry_run=query.get("dryRun") == "All",
    )


def _merged(live: Json, patch: Json) -> Json:
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _status(error: StatusError) -> Json:
    body: dict[str, Json] = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": error.message, "reason": error.reason, "code": error.code,
    }  # fmt: skip
    return body | ({"details": error.details} if error.details else {})


@pytest.mark.parametrize("vector", list(vectors()))
def test_as_kube_apiserver(vector: dict[str, Json]) -> None:
    asyncio.run(Replay(vector).run())
