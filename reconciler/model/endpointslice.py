"""EndpointSlices of discovery.k8s.io/v1: parts of the endpoints behind a service."""

from __future__ import annotations

from typing import Annotated, Literal

from reconciler.model.base import EMPTY, ListSet, Model, always
from reconciler.model.meta import KubeObject
from reconciler.model.reference import ObjectReference
from reconciler.model.scalar import Int32

GROUP = "discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
"""The label that names the service whose endpoints a slice has."""

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
"""The label that names who writes a slice."""

SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
"""The label of Endpoints that shall not be mirrored to slices when it is "true"."""


BY_SERVICE = "by-service"
"""The name of an informer's index of slices by the service that they are of."""


BY_ADDRESS = "by-called-address"
"""The name of an informer's index of slices by the addresses that get new connections."""

POD_SLICES = "endpointslice-controller.k8s.io"
"""Who manages the slices that follow the readiness of pods."""


class EndpointConditions(Model):
    """What holds of an endpoint now; absent means ready, serving, and not terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(Model):
    name: str = always(str)


class EndpointHints(Model):
    for_zones: tuple[ForZone, ...] = ()


class Endpoint(Model):
    addresses: Annotated[tuple[str, ...], ListSet(patch=False)] = always(tuple)
    conditions: EndpointConditions = always(EndpointConditions)
    hostname: str | None = None
    target_ref: ObjectReference | None = None
    deprecated_topology: dict[str, str] = EMPTY
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None

    @property
    def ready(self) -> bool:
        """Whether it gets connections: a condition that nobody set counts as true."""
        return self.conditions.ready is not False

    @property
    def serving(self) -> bool:
        """Whether it answers, be it terminating or not; unset counts as true."""
        return self.conditions.serving is not False

    @property
    def terminating(self) -> bool:
        """Whether it is on its way out; unset counts as false."""
        return bool(self.conditions.terminating)


class EndpointPort(Model):
    name: str | None = None
    protocol: str | None = None
    port: Int32 | None = None
    app_protocol: str | None = None


class EndpointSlice(KubeObject):
    api_version: Literal["discovery.k8s.io/v1"] = always(lambda: "discovery.k8s.io/v1")
    kind: Literal["EndpointSlice"] = always(lambda: "EndpointSlice")
    address_type: str = always(str)
    endpoints: tuple[Endpoint, ...] = always(tuple)
    ports: tuple[EndpointPort, ...] = always(tuple)


def service_of(obj: EndpointSlice) -> tuple[str, ...]:
    """Return "namespace/name" of the slice's service; nothing when it names none."""
    name = obj.metadata.labels.get(SERVICE_NAME)
    return (f"{obj.metadata.namespace}/{name}",) if name else ()


def called_addresses(obj: EndpointSlice) -> tuple[str, ...]:
    """Return the addresses that get connections and are not known to leave, each once."""
    called = (each for each in obj.endpoints if each.ready and not each.terminating)
    return tuple(dict.fromkeys(address for each in called for address in each.addresses))
