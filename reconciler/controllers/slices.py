"""What the controllers of EndpointSlices share: what they do to slices, and how slices are named.

Pure. `endpointslice` writes the slices of services with a selector, `endpointslicemirroring` those
of Endpoints that a person made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.controllers.owner import owner_reference
from reconciler.controllers.triggertime import TRIGGER_TIME, annotated
from reconciler.model.endpointslice import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
)
from reconciler.model.meta import KubeObject, ObjectMeta

HEADLESS = "service.kubernetes.io/headless"
"""The label of endpoints whose service has no cluster address."""

Ports = tuple[EndpointPort, ...]
"""The ports of a slice, sorted by `port_order`: all its endpoints have them."""


@dataclass(frozen=True, slots=True)
class Dress:
    """The labels of a controller's slices, and their annotations: None leaves those as they are.

    The trigger's time is nobody's dress: it is written with every change and alone is none.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str] | None = None

    def fits(self, meta: ObjectMeta) -> bool:
        """Say whether a slice wears it already."""
        worn = {name: text for name, text in meta.annotations.items() if name != TRIGGER_TIME}
        return meta.labels == self.labels and self.annotations in (None, worn)

    def on(self, meta: ObjectMeta) -> ObjectMeta:
        """Return the metadata of a slice that wears it."""
        annotations = meta.annotations if self.annotations is None else self.annotations
        return meta.replace(labels=dict(self.labels), annotations=dict(annotations))


@dataclass(frozen=True, slots=True)
class CreateSlice:
    """Create a slice; the API gives the name."""

    slice: EndpointSlice


@dataclass(frozen=True, slots=True)
class UpdateSlice:
    """Replace a slice by one of the same name."""

    slice: EndpointSlice


@dataclass(frozen=True, slots=True)
class DeleteSlice:
    """Delete a slice."""

    slice: EndpointSlice


Action = CreateSlice | UpdateSlice | DeleteSlice


@dataclass(slots=True)
class Change:
    """What becomes of the slices that there are, and what is new.

    `strangers` go too, and are never written over: they are another owner's.
    """

    created: list[EndpointSlice] = field(default_factory=list)
    updated: list[EndpointSlice] = field(default_factory=list)
    deleted: list[EndpointSlice] = field(default_factory=list)
    strangers: list[EndpointSlice] = field(default_factory=list)

    def add(self, part: Change) -> None:
        """Take in what becomes of other slices."""
        self.created += part.created
        self.updated += part.updated
        self.deleted += part.deleted

    def actions(self, trigger: str) -> tuple[Action, ...]:
        """Return what to do, with the trigger's time in all that is written (`finalize`).

        A slice that would go is written over with one that would come: fewer writes, and those
        who watch never see the endpoints of neither.
        """
        for old in tuple(self.deleted):
            if self.created and self.created[-1].address_type == old.address_type:
                self.deleted.remove(old)
                self.updated.append(_over(old, self.created.pop()))
        return (
            *(CreateSlice(_at(trigger, each)) for each in self.created),
            *(UpdateSlice(_at(trigger, each)) for each in self.updated),
            *(DeleteSlice(each) for each in (*self.deleted, *self.strangers)),
        )


def _over(old: EndpointSlice, new: EndpointSlice) -> EndpointSlice:
    """Return `new` in the place of `old`."""
    meta = new.metadata
    return new.replace(
        metadata=old.metadata.replace(labels=meta.labels, annotations=meta.annotations)
    )


def _at(trigger: str, obj: EndpointSlice) -> EndpointSlice:
    meta = obj.metadata
    return obj.replace(metadata=meta.replace(annotations=annotated(meta.annotations, trigger)))


def new_slice(owner: KubeObject, kind: str, ports: Ports, dress: Dress) -> EndpointSlice:
    """Return an empty slice that `owner` controls, for addresses of `kind` ("IPv4")."""
    metadata = ObjectMeta(
        generate_name=f"{owner.metadata.name}-",
        namespace=owner.metadata.namespace,
        owner_references=(owner_reference(owner),),
    )
    return EndpointSlice(metadata=dress.on(metadata), address_type=kind, ports=ports)


def is_of(obj: EndpointSlice, owner: KubeObject) -> bool:
    """Say whether `owner` controls the slice."""
    wanted = owner.metadata.uid
    return any(each.controller and each.uid == wanted for each in obj.metadata.owner_references)


def sort_ports(ports: Iterable[EndpointPort]) -> Ports:
    """Return ports in the one order by which equal sets of them are equal."""
    return tuple(sorted(ports, key=port_order))


def by_ports(slices: Iterable[EndpointSlice]) -> dict[Ports, list[EndpointSlice]]:
    """Return slices by their ports, in the order given."""
    found: dict[Ports, list[EndpointSlice]] = {}
    for obj in slices:
        found.setdefault(sort_ports(obj.ports), []).append(obj)
    return found


def port_order(port: EndpointPort) -> tuple[int, str, str, str]:
    """Return by what ports are sorted."""
    return port.port or 0, port.name or "", port.protocol or "", port.app_protocol or ""


def identity(endpoint: Endpoint) -> tuple[str, ...]:
    """Return what makes two endpoints the same one, however they fare (EndpointHash)."""
    target = endpoint.target_ref
    name = (target.namespace, target.name) if target is not None else ("", "")
    return (*sorted(endpoint.addresses), *name)
