"""What a request wants to do: Kubernetes' authorizer.Attributes. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attributes:
    """A verb on a resource, or on a path. `namespace` is empty for all of them."""

    verb: str
    path: str
    plural: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    is_resource: bool = False


def of_resource(
    verb: str,
    plural: str,
    group: str = "",
    *,
    namespace: str = "",
    name: str = "",
    subresource: str = "",
) -> Attributes:
    """Return the wish to do something with a resource."""
    return Attributes(verb, "", plural, group, namespace, name, subresource, is_resource=True)
