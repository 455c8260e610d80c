"""Which rules a user has: the stored roles and bindings, looked up by subject.

Called by the authorizer. It follows the store's feeds and builds its tables anew when a role or
binding has changed, so that a request costs a look-up for each group of its user.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security.identity import Identity
from reconciler.model.meta import KubeObject
from reconciler.model.rbac import (
    GROUP,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from reconciler.store.protocol import Compacted, Feed

_KINDS: tuple[type[KubeObject], ...] = (ClusterRole, ClusterRoleBinding, Role, RoleBinding)

_Who = tuple[str, str]
"""The kind and the full name of a subject."""

_Place = tuple[str, str]
"""A namespace, empty for the cluster, and a name."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that a subject has, everywhere (`namespace` empty) or in one namespace.

    `binding` names what gives it, as the reason of an access review tells it.
    """

    namespace: str
    role: RoleRef
    binding: str
    subject: str


class Roles:
    """See the module."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._feeds: dict[type[KubeObject], Feed] = {}
        self._rules: dict[_Place, tuple[PolicyRule, ...]] = {}
        self._grants: dict[_Who, list[Grant]] = {}

    def of(self, user: Identity, namespace: str) -> Iterator[tuple[PolicyRule, Grant]]:
        """Yield the rules that `user` has in `namespace`, and where each comes from."""
        self._refresh()
        for grant in self._of(user, namespace):
            for rule in self._rules.get(_place(grant.role, grant.namespace), ()):
                yield rule, grant

    def lost(self, user: Identity, namespace: str) -> list[str]:
        """Return what is said of the roles that bindings of `user` name and that are not there."""
        self._refresh()
        return [
            f'{grant.role.kind.lower()}.{GROUP} "{grant.role.name}" not found'
            for grant in self._of(user, namespace)
            if _place(grant.role, grant.namespace) not in self._rules
        ]

    def _of(self, user: Identity, namespace: str) -> Iterator[Grant]:
        for who in _names_of(user):
            for grant in self._grants.get(who, ()):
                if grant.namespace in ("", namespace):
                    yield grant

    def rules(self, role: RoleRef, namespace: str) -> tuple[PolicyRule, ...] | None:
        """Return the rules of a role that a binding in `namespace` names, None if it is not."""
        self._refresh()
        return self._rules.get(_place(role, namespace))

    def _refresh(self) -> None:
        if not self._feeds or self._is_stale():
            since = self._registry.revision
            self._feeds = {kind: self._registry.feed(kind, since=since) for kind in _KINDS}
            self._rules = dict(self._all_rules())
            self._grants = self._all_grants()

    def _is_stale(self) -> bool:
        try:
            return any(tuple(feed.read() for feed in self._feeds.values()))
        except Compacted:
            return True

    def _all_rules(self) -> Iterator[tuple[_Place, tuple[PolicyRule, ...]]]:
        for cluster_role in self._registry.list(ClusterRole):
            yield ("", cluster_role.metadata.name), cluster_role.rules or ()
        for role in self._registry.list(Role):
            # A name in a namespace: no namespace is called "", so both kinds share the table.
            yield (role.metadata.namespace, role.metadata.name), role.rules or ()

    def _all_grants(self) -> dict[_Who, list[Grant]]:
        found: defaultdict[_Who, list[Grant]] = defaultdict(list)
        every: list[RoleBinding | ClusterRoleBinding] = [
            *self._registry.list(ClusterRoleBinding),
            *self._registry.list(RoleBinding),
        ]
        for binding in every:
            for subject in binding.subjects:
                grant = _grant(binding, subject)
                found[_name_of(subject, grant.namespace)].append(grant)
        return dict(found)


def _grant(binding: RoleBinding | ClusterRoleBinding, subject: Subject) -> Grant:
    meta = binding.metadata
    name = f"{meta.name}/{meta.namespace}" if meta.namespace else meta.name
    shown = f'{subject.kind} "{subject.name}"'
    if subject.kind == "ServiceAccount":
        shown = f'{subject.kind} "{subject.name}/{subject.namespace}"'
    return Grant(meta.namespace, binding.role_ref, f'{binding.kind} "{name}"', shown)


def _place(role: RoleRef, namespace: str) -> _Place:
    return (namespace if role.kind == "Role" else "", role.name)


def _name_of(subject: Subject, namespace: str) -> _Who:
    """Return who a subject is; an account is a user, by default of the binding's namespace."""
    if subject.kind == "ServiceAccount":
        home = subject.namespace or namespace
        return "User", f"system:serviceaccount:{home}:{subject.name}"
    return subject.kind, subject.name


def _names_of(user: Identity) -> Iterator[_Who]:
    yield "User", user.name
    for group in user.groups:
        yield "Group", group
