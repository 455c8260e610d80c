"""Field selectors: which fields of a kind may be selected by, and how they are read.

Called by reads, watches and collection deletes. The list is Kubernetes' own; every kind has name
and namespace. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.apiserver.registry.errors import bad_request
from reconciler.model import selector
from reconciler.model.config import Secret
from reconciler.model.event import Event
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.selector import FieldSelector, SelectorError
from reconciler.model.service import Service

Reader = Callable[[Any], str]

_COMMON: dict[str, Reader] = {
    "metadata.name": lambda obj: str(obj.metadata.name),
    "metadata.namespace": lambda obj: str(obj.metadata.namespace),
}


def _flag(value: bool | None) -> str:
    return "true" if value else "false"


_POD: dict[str, Reader] = {
    "spec.nodeName": lambda pod: str(pod.spec.node_name),
    "spec.restartPolicy": lambda pod: str(pod.spec.restart_policy),
    "spec.schedulerName": lambda pod: str(pod.spec.scheduler_name),
    "spec.serviceAccountName": lambda pod: str(pod.spec.service_account_name),
    "spec.hostNetwork": lambda pod: _flag(pod.spec.host_network),
    "status.phase": lambda pod: str(pod.status.phase),
    "status.podIP": lambda pod: str(pod.status.pod_ip),
    "status.podIPs": lambda pod: str(pod.status.pod_ip),
    "status.nominatedNodeName": lambda pod: str(pod.status.nominated_node_name),
}
_EVENT: dict[str, Reader] = {
    "involvedObject.kind": lambda event: str(event.involved_object.kind),
    "involvedObject.namespace": lambda event: str(event.involved_object.namespace),
    "involvedObject.name": lambda event: str(event.involved_object.name),
    "involvedObject.uid": lambda event: str(event.involved_object.uid),
    "involvedObject.apiVersion": lambda event: str(event.involved_object.api_version),
    "involvedObject.resourceVersion": lambda event: str(event.involved_object.resource_version),
    "involvedObject.fieldPath": lambda event: str(event.involved_object.field_path),
    "reason": lambda event: str(event.reason),
    "reportingComponent": lambda event: str(event.reporting_component),
    "source": lambda event: str(event.source.component or event.reporting_component),
    "type": lambda event: str(event.type),
}
_EVENT_V1: dict[str, Reader] = {
    "regarding.kind": lambda event: str(event.regarding.kind),
    "regarding.namespace": lambda event: str(event.regarding.namespace),
    "regarding.name": lambda event: str(event.regarding.name),
    "regarding.uid": lambda event: str(event.regarding.uid),
    "regarding.apiVersion": lambda event: str(event.regarding.api_version),
    "regarding.resourceVersion": lambda event: str(event.regarding.resource_version),
    "regarding.fieldPath": lambda event: str(event.regarding.field_path),
    "reason": lambda event: str(event.reason),
    "reportingController": lambda event: str(event.reporting_controller),
    "type": lambda event: str(event.type),
}
_SERVICE: dict[str, Reader] = {
    "spec.clusterIP": lambda service: str(service.spec.cluster_ip),
    "spec.type": lambda service: str(service.spec.type),
}

_OWN: Mapping[type[KubeObject], dict[str, Reader]] = {
    Event: _EVENT,
    EventV1: _EVENT_V1,
    Namespace: {"status.phase": lambda namespace: str(namespace.status.phase)},
    Node: {"spec.unschedulable": lambda node: _flag(node.spec.unschedulable)},
    Pod: _POD,
    ReplicationController: {"status.replicas": lambda rc: str(rc.status.replicas)},
    Secret: {"type": lambda secret: str(secret.type)},
    Service: _SERVICE,
}


class FieldMatcher:
    """A field selector of one kind."""

    def __init__(self, chosen: FieldSelector, readers: Mapping[str, Reader]) -> None:
        self._chosen = chosen
        self._readers = readers

    def matches(self, obj: KubeObject) -> bool:
        """Say whether the object meets every condition."""
        return self._chosen.matches(lambda path: self._readers[path](obj))

    @property
    def name(self) -> str:
        """The one name that objects must have, empty when any may match."""
        for term in self._chosen.terms:
            if term.path == "metadata.name" and term.equal:
                return term.value
        return ""


def parse(resource: Resource, text: str) -> FieldMatcher | None:
    """Return the matcher of a `fieldSelector`, None for an empty one; raises `StatusError`."""
    if not text:
        return None
    try:
        chosen = selector.parse_fields(text)
    except SelectorError as error:
        raise bad_request(str(error)) from error
    own = _OWN.get(resource.model)
    readers = {**_COMMON, **(own or {})}
    for term in chosen.terms:
        if term.path not in readers:
            raise bad_request(_unsupported(term.path, known_kind=own is not None))
    return FieldMatcher(chosen, readers) if chosen.terms else None


def _unsupported(path: str, *, known_kind: bool) -> str:
    if known_kind:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
