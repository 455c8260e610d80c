"""Who asks, and whether he may: the way of every request before its verb. Called by `api.py`."""

from __future__ import annotations

from reconciler.apiserver.http import status
from reconciler.apiserver.http.message import Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.eventsv1 import EventsV1Registry
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import impersonation
from reconciler.apiserver.security.attributes import Attributes, of_resource
from reconciler.apiserver.security.authentication import Authenticator, WrongCredentials
from reconciler.apiserver.security.authorization import Authorizer
from reconciler.apiserver.security.escalation import EscalationCheck
from reconciler.apiserver.security.identity import MASTERS, Identity
from reconciler.model import rbac
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject

_VERBS = {
    "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get",
    "HEAD": "get",
}  # fmt: skip


class Access:
    """See the module."""

    def __init__(self, registry: Registry, authenticator: Authenticator) -> None:
        self.authorizer = Authorizer(registry)
        self._registry = registry
        self._events = EventsV1Registry(registry)
        self._authenticator = authenticator

    def actor(self, request: Request) -> Identity:
        """Return who asks; raises `StatusError`."""
        try:
            return self._authenticator.user(request.headers, request.peer)
        except WrongCredentials as error:
            raise status.unauthorized() from error

    def user(self, request: Request, user: Identity) -> Identity:
        """Return whom `user` acts as, himself as a rule; raises `StatusError`."""
        try:
            other = impersonation.wanted(request.headers)
        except impersonation.NoUser as error:
            raise errors.internal("requested impersonation without a user") from error
        if other is None:
            return user
        for need in other.needs():
            self.authorizer.check(user, need)
        return other.identity()

    def check(self, user: Identity, request: Request, place: Target | None) -> None:
        """Raise `StatusError` Forbidden unless `user` may do what is asked."""
        asked = of_path(request) if place is None else of_place(request, place)
        self.authorizer.check(user, asked)

    def readable(self, of: Resource) -> Registry:
        """Return the registry to read a kind from: events of either group are in one store."""
        return self._events if of.model is EventV1 else self._registry

    def writable(self, request: Request, of: Resource) -> Registry:
        """Return the registry to write to: it refuses what the verb alone does not give.

        A role may not give more than its writer has, and who creates by an update or an apply must
        be allowed to create.
        """
        registry, user = self.readable(of), request.user
        if MASTERS in user.groups:
            return registry
        escalation = EscalationCheck(self.authorizer, user)

        def judge(new: KubeObject, old: KubeObject | None) -> None:
            if old is None and request.method in ("PATCH", "PUT"):
                meta = new.metadata
                place = {"namespace": meta.namespace, "name": meta.name}
                self.authorizer.check(user, of_resource("create", of.plural, of.group, **place))
            if of.group == rbac.GROUP:
                escalation(new, old)

        return registry.judged_by(judge)


def of_path(request: Request) -> Attributes:
    """Return what a request wants of a path that is no resource's."""
    verb = "get" if request.method in ("GET", "HEAD") else request.method.lower()
    return Attributes(verb, request.path)


def of_place(request: Request, place: Target) -> Attributes:
    """Return what a request wants of a resource, as Kubernetes' RequestInfo tells it."""
    name, namespace = place.name, place.namespace
    verb = _VERBS.get(request.method, request.method.lower())
    if verb == "get" and request.flag("watch") and not place.subresource:
        verb = "watch"
    elif not name and verb in ("get", "delete"):
        verb = "list" if verb == "get" else "deletecollection"
    if not name and verb in ("list", "watch", "deletecollection"):
        name = _selected_name(request.one("fieldSelector"))
    if place.plural == "namespaces" and not place.group:
        namespace = place.name  # a namespace lies in itself, so that its own roles may give it
    part = place.subresource.partition("/")[0]
    return Attributes(
        verb, request.path, place.plural, place.group, namespace, name, part, is_resource=True
    )


def _selected_name(fields: str) -> str:
    """Return the one name that a field selector chooses, so that a rule may name it."""
    for term in fields.split(","):
        path, sign, value = term.replace("==", "=").partition("=")
        if sign and path == "metadata.name":
            return value
    return ""
