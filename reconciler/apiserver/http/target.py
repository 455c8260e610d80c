"""What a URL path names. Pure: Kubernetes' RequestInfo for the paths under /api and /apis.

Called by `api.py`. A path that it does not know is somebody else's (health, discovery), or no
one's.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import kinds
from reconciler.model.kinds import Resource


@dataclass(frozen=True, slots=True)
class Target:
    """A place in the API. `name` is empty for a collection, `namespace` for all of them.

    `resource` is None where the group has no such resource; `plural` is the word of the URL.
    """

    resource: Resource | None
    group: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    version: str = "v1"

    @property
    def qualified(self) -> str:
        """The resource as refusals name it."""
        plural = f"{self.plural}/{self.subresource}" if self.subresource else self.plural
        return f"{plural}.{self.group}" if self.group else plural


_OF_NAMESPACES = ("status", "finalize")
_CORE = ("", "v1")
_PROXIED = 5  # parts of namespaces/NAMESPACE/pods/NAME/proxy


def watched(path: str) -> str:
    """Return the path of the list that a deprecated path watches, empty for any other path.

    `/api/v1/watch/pods` is `/api/v1/pods?watch=true`: RequestInfo's special verb.
    """
    parts = path.strip("/").split("/")
    at = {"api": 2, "apis": 3}.get(parts[0], 0)
    if not at or parts[at : at + 1] != ["watch"] or len(parts) <= at + 1:
        return ""
    return "/".join(("", *parts[:at], *parts[at + 1 :]))


def parse(path: str, versions: frozenset[tuple[str, str]]) -> Target | None:
    """Return what `path` names; None outside of `versions`, which are (group, version) pairs."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, version, rest = *_CORE, parts[2:]
    elif parts[0] == "apis" and len(parts) > 2:  # noqa: PLR2004 - apis, group, version
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    # What lies below a proxy is somebody else's path.
    own = rest[:_PROXIED] if rest[_PROXIED - 1 : _PROXIED] == ["proxy"] else rest
    if (group, version) not in versions or not rest or not all(own):
        return None
    return _within(group, version, rest)


def _within(group: str, version: str, parts: list[str]) -> Target:
    """Return what the path after group and version names."""
    namespace = ""
    scoped = parts[0] == "namespaces" and len(parts) > 2  # noqa: PLR2004 - namespaces, name, more
    if scoped and not ((group, version) == _CORE and parts[2] in _OF_NAMESPACES):
        namespace, parts = parts[1], parts[2:]
    plural, name, *more = (*parts, "")[: max(len(parts), 2)]
    resource = kinds.by_plural(group, version, plural)
    return Target(resource, group, plural, namespace, name, "/".join(more), version)
