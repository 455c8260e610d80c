"""The API as one function: a request in, an answer out.

Called by the server for each request, and by tests without any socket. It finds out who asks and
what for, lets `authorization` decide, and hands over to the verb; every refusal becomes a Status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from reconciler.apiserver.http import (
    absent,
    accept,
    components,
    conditional,
    discovery,
    health,
    openapi,
    patching,
    query,
    reading,
    scale,
    status,
    subresources,
    target,
    tokenrequests,
    view,
    virtual,
    writing,
)
from reconciler.apiserver.http.accept import Wanted
from reconciler.apiserver.http.access import Access
from reconciler.apiserver.http.audit import Audit, Level, Trail
from reconciler.apiserver.http.declared import Declared, nothing_declared, warned
from reconciler.apiserver.http.health import Metrics
from reconciler.apiserver.http.message import JSON, Answer, Reply, Request
from reconciler.apiserver.http.reading import Reader
from reconciler.apiserver.http.reviews import Reviews
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.view import Form, View
from reconciler.apiserver.http.watching import Scope, Watches
from reconciler.apiserver.http.writing import Warned, Written
from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.apiserver.security.authentication import Authenticator
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.model import kinds
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.kinds import Resource
from reconciler.model.meta import ListMeta
from reconciler.model.streaming import NodeStreams

if TYPE_CHECKING:
    from reconciler.apiserver.streaming.service import Streams

# Deleted at once, these answer with the object; all others with a Status.
_ANSWER_OBJECT = ("Pod", "ServiceAccount", "Namespace")


# Bytes of a list that becomes YAML beside the loop: half a second for each megabyte.
_LARGE = 64 * 1024


class Api:
    """See the module. `address` is the server's own, as discovery tells it.

    `declared` says what becomes of writes to what Git declares.
    """

    def __init__(  # noqa: PLR0913 - all that an answer may be made of
        self,
        registry: Registry,
        clock: Clock,
        authenticator: Authenticator,
        *,
        address: str,
        random: Random | None = None,
        node: NodeStreams | None = None,
        declared: Declared = nothing_declared,
        audit: Level = "none",
        connections: Callable[[], int] = lambda: 0,
        measures: Callable[[], str] = str,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._access = Access(registry, authenticator)
        self._accounts = authenticator.accounts
        self._address = address
        self._declared = declared
        self._connections = connections
        self._measures = measures
        chance = random or Random()  # noqa: S311 - jitter, and which endpoint a proxy takes
        self._watches = Watches(registry, clock, chance)
        events = kinds.of(EventV1)
        self._events = Watches(self._access.readable(events), clock, chance)
        self._node, self._chance = node, chance
        self._reviews = Reviews(authenticator, self._access.authorizer, clock)
        self._scale = scale.Scales(registry, clock)
        self._metrics = Metrics()
        self._audit = Audit(audit, Ids().uid)
        self._log = structlog.get_logger(component="api")

    async def handle(self, request: Request) -> Answer:
        """Answer a request, whatever it is."""
        trail = self._audit.begin(request)
        try:
            answer = await self._answer(request, trail)
        except StatusError as error:
            told = error.warnings if isinstance(error, Warned) else ()
            answer = status.failure(error, status.warning_headers(told))
        except RecursionError:
            answer = status.failure(errors.bad_request("exceeded max depth"))
        except Exception:  # noqa: BLE001 - the boundary of every request: logged, then told
            self._log.exception("api.crashed", method=request.method, path=request.path)
            answer = status.failure(errors.internal("the request could not be answered"))
        self._metrics.count(request.method, answer.code)
        return self._audit.end(trail, request, answer)

    async def _answer(self, request: Request, trail: Trail) -> Answer:
        if request.method == "GET" and (path := target.watched(request.path)):
            request = replace(request, path=path, query={**request.query, "watch": ["true"]})
        place = trail.place = target.parse(request.path, discovery.answered())
        actor = trail.actor = trail.user = self._access.actor(request)
        user = trail.user = self._access.user(request, actor)
        self._access.check(user, request, place)
        if place is None:
            return self._outside(request)
        asked = replace(request, user=user)
        if place.resource is None:
            return await self._elsewhere(asked, place)
        if place.namespace and not place.resource.namespaced:
            raise status.no_resource()  # who has all rights in a namespace has none beyond it
        if not place.name:
            return await self._collection(asked, place, place.resource)
        answer_for = self._part if place.subresource else self._object
        answer = await answer_for(asked, place, place.resource)
        if isinstance(answer, Reply):
            answer = warned(answer, asked, place, place.resource, self._registry, self._declared)
        return answer

    def _outside(self, request: Request) -> Reply:
        """Answer for a path that no resource has."""
        path = request.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD"):
            known = path == "/version" or discovery.document(path, self._address) is not None
            if known:
                raise status.no_method()
            return status.NOT_THERE
        if path.startswith(("/api", "/apis")):
            return self._discovered(request, path)
        if path == "/version":
            return _json(health.version())
        if path == "/metrics":
            text = self._metrics.text(self._connections(), self._registry.revision)
            text += self._measures()
            return Reply(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")
        if path == "/":
            return _json({"paths": _paths()})
        found = openapi.answer(path, request) or health.health(path, request.query)
        return found or status.NOT_THERE

    def _discovered(self, request: Request, path: str) -> Reply:
        header = request.headers.get("accept", "")
        version = discovery.aggregated_version(header)
        whole = discovery.aggregated(path, version) if version else None
        if whole is not None:
            reply = replace(_json(whole), content_type=discovery.aggregated_type(version))
            return conditional.tagged(reply, request, conditional.mark(reply.body))
        document = discovery.document(path, self._address)
        if document is None:
            if path.startswith("/api/"):
                raise status.no_resource()
            return status.NOT_THERE
        if discovery.asks_unknown_form(header) and header:
            raise status.no_such_form()
        body, kind = view.finish(orjson.dumps(document), yaml=accept.check(header), pretty=False)
        return Reply(200, body, kind)

    async def _elsewhere(self, request: Request, place: Target) -> Answer:
        """Answer for a resource that is not in the table of kinds."""
        if place.group in (virtual.AUTHENTICATION, virtual.AUTHORIZATION):
            return self._reviews.handle(request, place)
        if (place.group, place.plural) == ("", virtual.COMPONENTS.plural):
            return self._components(request, place)
        if place.plural == "bindings" and place.namespace and not place.name:
            if request.method == "POST":
                return await subresources.bind(self._registry, request, place)
            raise status.no_method()
        if (of := absent.listed(request, place)) is not None:
            wanted, form = self._form(request, of)
            none = ListMeta(resource_version=str(self._registry.revision))
            return _finished(request, wanted, form.many((), none))
        raise status.no_resource()

    def _components(self, request: Request, place: Target) -> Reply:
        wanted, form = self._form(request, virtual.COMPONENTS)
        body = components.answer(request, place, virtual.COMPONENTS, form)
        return _finished(request, wanted, body, warnings=(components.DEPRECATED,))

    async def _collection(self, request: Request, place: Target, of: Resource) -> Answer:
        match request.method:
            case "GET" | "HEAD":
                return await self._list(request, place, of)
            case "POST" if place.namespace or not of.namespaced:
                made = await writing.create(self._access.writable(request, of), request, place, of)
                return self._written(request, of, made, 201)
            case "DELETE" if "deletecollection" in discovery.verbs(of) and (
                place.namespace or not of.namespaced
            ):
                return await self._delete_collection(request, place, of)
            case _:
                raise status.no_method()

    async def _object(self, request: Request, place: Target, of: Resource) -> Answer:
        if of.namespaced and not place.namespace:
            raise status.no_resource()
        answer: Answer
        match request.method:
            case "GET" | "HEAD" if request.flag("watch"):
                answer = await self._list(_named(request, place.name), place, of)
            case "GET" | "HEAD":
                answer = self._get(request, place, of)
            case "PUT":
                answer = await self._put(request, place, of)
            case "PATCH":
                answer = await self._patch(request, place, of)
            case "DELETE":
                answer = await self._delete(request, place, of)
            case _:
                raise status.no_method()
        return answer

    @cached_property
    def _streams(self) -> Streams:
        from reconciler.apiserver.streaming.service import Streams  # noqa: PLC0415 - SPDY and more

        return Streams(self._registry, self._clock, self._node, self._chance)

    async def _part(self, request: Request, place: Target, of: Resource) -> Answer:
        """Answer for a subresource."""
        part = discovery.subresource(of, place.subresource)
        if part is None:
            raise status.no_resource()
        if part.streamed:
            return await self._streams.handle(request, place)
        reply: Answer
        match place.subresource, request.method:
            case "scale", _:
                reply = await self._scale.handle(request, place)
            case "binding", "POST":
                reply = await subresources.bind(self._registry, request, place)
            case "token", _:
                reply = tokenrequests.answer(self._tokens(), self._clock, request, place)
            case "eviction", "POST":
                reply = await subresources.evict(self._registry, request, place)
            case "status" | "ephemeralcontainers", "GET":
                reply = self._get(request, place, of)
            case "status" | "finalize" | "ephemeralcontainers", "PUT":
                reply = await self._put(request, place, of)
            case "status" | "ephemeralcontainers", "PATCH":
                reply = await self._patch(request, place, of)
            case _:
                raise status.no_method()
        return reply

    def _tokens(self) -> AccountTokens:
        if self._accounts is None:
            raise status.no_resource()
        return self._accounts

    def _get(self, request: Request, place: Target, of: Resource) -> Reply:
        wanted, form = self._form(request, of)
        reader = Reader(self._access.readable(of), of, place.namespace)
        item = reader.one(place.name, request.one("resourceVersion"))
        return _finished(request, wanted, form.one(item))

    async def _list(self, request: Request, place: Target, of: Resource) -> Answer:
        wanted, form = self._form(request, of)
        options = query.list_options(request)
        if options.watch:
            include = request.one("includeObject")
            scope = Scope(of, place.namespace, wanted, form, include)
            watches = self._watches if self._access.readable(of) is self._registry else self._events
            return watches.open(scope, options)
        reader = Reader(self._access.readable(of), of, place.namespace)
        page = await reader.page(options, rows=wanted.form == "table")
        body = await view.listed(form, page.items, page.meta)
        if len(body) > _LARGE and (wanted.yaml or request.flag("pretty")):
            return await asyncio.to_thread(_finished, request, wanted, body)
        return _finished(request, wanted, body)

    async def _put(self, request: Request, place: Target, of: Resource) -> Reply:
        made, code = await writing.update(self._access.writable(request, of), request, place, of)
        return self._written(request, of, made, code)

    async def _patch(self, request: Request, place: Target, of: Resource) -> Answer:
        if patching.patch_type(request) == patching.APPLY:
            made, code = await patching.apply(
                self._access.writable(request, of), request, place, of
            )
            return self._written(request, of, made, code)
        made = await patching.patch_object(self._access.writable(request, of), request, place, of)
        return self._written(request, of, made, 200)

    async def _delete(self, request: Request, place: Target, of: Resource) -> Answer:
        options = writing.delete_options(request)
        obj, gone = await self._access.writable(request, of).delete(
            of.model, place.name, place.namespace, options
        )
        if gone and of.kind not in _ANSWER_OBJECT:
            meta = obj.metadata
            details = {"name": meta.name, "group": of.group, "kind": of.plural, "uid": meta.uid}
            return status.success({key: value for key, value in details.items() if value})
        return self._written(request, of, Written(obj), 200)

    async def _delete_collection(self, request: Request, place: Target, of: Resource) -> Answer:
        wanted, form = self._form(request, of)
        listed, options = query.list_options(request), writing.delete_options(request)
        page = await Reader(self._access.readable(of), of, place.namespace).page(listed)
        body = form.many(page.items, page.meta)
        await writing.delete_all(
            self._access.readable(of), [item.obj for item in page.items], options
        )
        return _finished(request, wanted, body)

    def _written(self, request: Request, of: Resource, made: Written, code: int) -> Reply:
        wanted, form = self._form(request, of)
        item: View = view.of_object(made.obj)
        return _finished(request, wanted, form.one(item), code, made.warnings)

    def _form(self, request: Request, of: Resource) -> tuple[Wanted, Form]:
        header = request.headers.get("accept")
        wanted = accept.wanted(header) if header else accept.PLAIN
        include = reading.check_include(request.one("includeObject"))
        return wanted, view.form_of(of, wanted, include, self._clock)


def _finished(
    request: Request, wanted: Wanted, body: bytes, code: int = 200, warnings: Sequence[str] = ()
) -> Reply:
    pretty = request.flag("pretty")
    if wanted.yaml or pretty:
        body, kind = view.finish(body, yaml=wanted.yaml, pretty=pretty)
    else:
        kind = JSON
    return Reply(code, body, kind, warnings=status.warning_headers(warnings))


def _json(value: Any) -> Reply:
    return Reply(200, orjson.dumps(value))


def _named(request: Request, name: str) -> Request:
    """Return the watch of one object as a watch of its collection."""
    return replace(request, query={**request.query, "fieldSelector": [f"metadata.name={name}"]})


def _paths() -> list[str]:
    """Return the root document: where to look further."""
    of_groups = [f"/apis/{group}" for group in discovery.groups()]
    roots = ["/api", "/api/v1", "/apis", *of_groups, "/metrics", "/openapi/v3", "/version"]
    return sorted([*roots, *health.PATHS])
