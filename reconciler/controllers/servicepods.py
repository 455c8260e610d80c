"""Which pods stand behind which services, and which services a pod's change concerns.

Shared by the controllers that write Endpoints and EndpointSlices. A pod's event is looked up by
label, and changes of a pod that no endpoint shows wake nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.controllers.podstate import is_ready, is_terminal, matches
from reconciler.model.meta import NamespacedName
from reconciler.model.pod import Pod
from reconciler.model.service import Service

_BY_LABEL = "services-label"
_BY_SELECTOR = "services-selector"


class ServicePods:
    """The pods of each service; `wake` is called with the services that a pod's change concerns."""

    def __init__(
        self,
        services: Informer[Service],
        pods: Informer[Pod],
        wake: Callable[[NamespacedName], None],
    ) -> None:
        self._services = services
        self._pods = pods
        self._wake = wake
        pods.add_index(_BY_LABEL, _labels)
        services.add_index(_BY_SELECTOR, _selector)
        pods.subscribe(self._pod_changed)

    def of(self, service: Service) -> Iterator[Pod]:
        """Yield the pods that the service's selector matches."""
        for first in _selector(service):
            for pod in self._pods.by_index(_BY_LABEL, first):
                if matches(service.spec.selector, pod.metadata.labels):
                    yield pod

    def _pod_changed(self, event: EventType, old: Pod | None, new: Pod | None) -> None:
        now = new if event != "DELETED" else None
        if old is not None and now is not None and _face(old) == _face(now):
            return
        for pod in (old, now):
            if pod is not None:
                self._wake_services(pod)

    def _wake_services(self, pod: Pod) -> None:
        for label in _labels(pod):
            for service in self._services.by_index(_BY_SELECTOR, label):
                if matches(service.spec.selector, pod.metadata.labels):
                    self._wake(NamespacedName.of(service))


def _labels(pod: Pod) -> list[str]:
    namespace = pod.metadata.namespace
    return [f"{namespace}/{key}={value}" for key, value in pod.metadata.labels.items()]


def _selector(service: Service) -> list[str]:
    """Return one pair of the selector: any pod that matches all of them has it."""
    pairs = sorted(service.spec.selector.items())
    return [f"{service.metadata.namespace}/{key}={value}" for key, value in pairs[:1]]


def _face(pod: Pod) -> tuple[object, ...]:
    """Return what of a pod can be seen in its endpoints; the rest of it wakes nobody."""
    spec = pod.spec
    return (
        pod.metadata.labels,
        pod.metadata.deletion_timestamp is None,
        pod.status.pod_ip,
        is_ready(pod),
        is_terminal(pod),
        spec.node_name,
        spec.hostname,
        spec.subdomain,
    )
