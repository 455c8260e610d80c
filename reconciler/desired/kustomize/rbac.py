"""Roles and bindings in a build: what they name follows its names and namespaces. Pure.

Called by `names.py` and `transform.py`. The rules are kustomize's, but for one: kustomize takes a
user or group that is called as an account for that account, and we do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reconciler.desired.kustomize.resource import Json, Resource

_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_ROLES = ("Role", "ClusterRole")
_NAMED_BY_RULES = ("Secret", "ConfigMap")
_ACCOUNT, _DEFAULT = "ServiceAccount", "default"

Find = Callable[[str, str, str | None], Resource | None]
"""Return the renamed object of a kind that a former name means, in a namespace if one is given."""


def move_default_subjects(resource: Resource, namespace: str) -> None:
    """Let a binding's subject `default`, the account of every namespace, be that of `namespace`."""
    for subject in _accounts(resource):
        if subject.get("name") == _DEFAULT:
            subject["namespace"] = namespace


def follow(resource: Resource, find: Find) -> None:
    """Make a role or binding name its objects as they are called now."""
    if resource.kind in _BINDINGS:
        _follow_role(resource, find)
        for subject in _accounts(resource):
            _follow_subject(subject, find)
    elif resource.kind in _ROLES:
        for rule in _mappings(resource.value.get("rules")):
            _follow_names(rule, find)


def _follow_role(binding: Resource, find: Find) -> None:
    ref = binding.value.get("roleRef")
    if isinstance(ref, dict) and ref.get("kind") in _ROLES:
        found = find(str(ref["kind"]), str(ref.get("name")), None)
        if found is not None:
            ref["name"] = found.id.name


def _follow_subject(subject: Json, find: Find) -> None:
    namespace = subject.get("namespace")
    found = find(_ACCOUNT, str(subject.get("name")), namespace and str(namespace))
    if found is not None:
        subject["name"] = found.id.name
        if found.id.namespace:
            subject["namespace"] = found.id.namespace


def _follow_names(rule: Json, find: Find) -> None:
    names = rule.get("resourceNames")
    if not isinstance(names, list):
        return
    for kind in _NAMED_BY_RULES:
        found = [find(kind, name, None) if isinstance(name, str) else None for name in names]
        names[:] = [
            old if new is None else new.id.name for old, new in zip(names, found, strict=True)
        ]


def _accounts(resource: Resource) -> Iterator[Json]:
    if resource.kind in _BINDINGS:
        for subject in _mappings(resource.value.get("subjects")):
            if subject.get("kind") == _ACCOUNT:
                yield subject


def _mappings(value: object) -> Iterator[Json]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield each
