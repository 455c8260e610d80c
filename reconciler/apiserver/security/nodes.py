"""What the kubelet of a node may do: Kubernetes' Node authorizer and NodeRestriction.

Called by the authorizer for users `system:node:NAME` of the group `system:nodes`. A kubelet reads
the secrets, config maps and claims of the pods that are bound to its node, asks for tokens of
their accounts, and writes its own node and those pods alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import rules
from reconciler.apiserver.security.attributes import Attributes
from reconciler.apiserver.security.defaults import NODE_RULES
from reconciler.apiserver.security.identity import NODES, Identity
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.pod import Pod
from reconciler.store.protocol import Record

_PREFIX = "system:node:"
_READ = ("get", "list", "watch")
_NAMED = {
    "secretRef": "secrets",
    "secretKeyRef": "secrets",
    "configMapRef": "configmaps",
    "configMapKeyRef": "configmaps",
    "configMap": "configmaps",
    "secret": "secrets",
    "imagePullSecrets": "secrets",
    "persistentVolumeClaim": "persistentvolumeclaims",
}
_OF_PODS = frozenset(_NAMED.values())


def node_of(user: Identity) -> str:
    """Return the name of the node whose kubelet a user is, empty for everybody else."""
    if NODES not in user.groups or not user.name.startswith(_PREFIX):
        return ""
    return user.name.removeprefix(_PREFIX)


class NodeAuthorizer:
    """See the module."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def allows(self, node: str, asked: Attributes) -> bool:
        """Say whether the kubelet of `node` may do what is asked."""
        if not asked.is_resource:
            return False
        resource = asked.plural if not asked.group else ""
        if resource in _OF_PODS and asked.verb in _READ:
            return self._is_referenced(node, asked)
        if resource == "persistentvolumes" and asked.verb in _READ:
            return self._is_mounted(node, asked.name)
        if (resource, asked.subresource) == ("serviceaccounts", "token"):
            return asked.verb == "create" and self._has_account(node, asked)
        if not any(rules.allows(rule, asked) for rule in NODE_RULES):
            return False
        return asked.verb in (*_READ, "create") or self._is_own(node, resource, asked)

    def _is_own(self, node: str, resource: str, asked: Attributes) -> bool:
        """Say whether a write is to the node itself, or to what runs on it."""
        if resource == "nodes":
            return asked.name == node
        if resource == "pods":
            pods = self._pods(node, asked.namespace)
            return any(pod.metadata.name == asked.name for pod in pods)
        return resource == "events" or asked.name == node

    def _is_referenced(self, node: str, asked: Attributes) -> bool:
        wanted = (asked.plural, asked.name)
        pods = self._pods(node, asked.namespace)
        return bool(asked.name) and any(wanted in _references(pod) for pod in pods)

    def _has_account(self, node: str, asked: Attributes) -> bool:
        pods = self._pods(node, asked.namespace)
        return any(pod.spec.service_account_name == asked.name for pod in pods)

    def _is_mounted(self, node: str, volume: str) -> bool:
        claims = {
            (claim.metadata.namespace, claim.metadata.name)
            for claim in self._registry.list(PersistentVolumeClaim)
            if volume and claim.spec.volume_name == volume
        }
        return any(
            (pod.metadata.namespace, name) in claims
            for pod in (self._pods(node, "") if claims else ())
            for plural, name in _references(pod)
            if plural == "persistentvolumeclaims"
        )

    def _pods(self, node: str, namespace: str) -> Iterator[Pod]:
        mark = f'"nodeName":"{node}"'.encode()
        for record in self._registry.records(Pod, namespace):
            if mark in record.value:
                yield from self._bound(record, node)

    def _bound(self, record: Record, node: str) -> Iterator[Pod]:
        pod = self._registry.decode(Pod, record)
        if pod.spec.node_name == node:
            yield pod


def _references(pod: Pod) -> set[tuple[str, str]]:
    """Return what a pod names of its namespace, as plural and name."""
    return set(_named(pod.spec.to_dict()))


def _named(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    if not isinstance(value, dict):
        return
    for key, member in value.items():
        plural = _NAMED.get(key)
        for found in member if isinstance(member, list) else (member,):
            if plural and isinstance(found, dict):
                name = found.get("secretName") or found.get("claimName") or found.get("name")
                yield plural, str(name)
        yield from _named(member)
