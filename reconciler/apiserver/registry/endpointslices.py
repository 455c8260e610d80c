"""EndpointSlices: their generation, and the topology of old that v1 does not take any more."""

from __future__ import annotations

from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.endpointslice import Endpoint, EndpointSlice


class EndpointSliceStrategy(Strategy[EndpointSlice]):
    """The rules of EndpointSlices (endpointSliceStrategy and its dropTopologyOnV1)."""

    generation = True

    def for_create(self, new: EndpointSlice) -> EndpointSlice:
        """Drop the deprecated topology."""
        return _without_topology(super().for_create(new))

    def for_update(self, new: EndpointSlice, old: EndpointSlice) -> EndpointSlice:
        """Drop the deprecated topology, unless the endpoints stay as they are."""
        kept = super().for_update(new, old)
        return kept if kept.endpoints == old.endpoints else _without_topology(kept)

    def same_spec(self, new: EndpointSlice, old: EndpointSlice) -> bool:
        """Compare all but the metadata."""
        return new.replace(metadata=old.metadata) == old


def _without_topology(obj: EndpointSlice) -> EndpointSlice:
    if not any(endpoint.deprecated_topology for endpoint in obj.endpoints):
        return obj
    return obj.replace(endpoints=tuple(map(_bare, obj.endpoints)))


def _bare(endpoint: Endpoint) -> Endpoint:
    return endpoint.replace(deprecated_topology={}) if endpoint.deprecated_topology else endpoint
