"""The pod network as the kubelet sees it: what it shall look like, and the verbs on it.

`bridge.py` is the real face, `fake.py` the simulated one.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.errors import ReconcilerError

LINK_PREFIX = "rec"
_LINK_DIGITS = 12


class NetworkFailure(ReconcilerError):
    """The kernel refused; the message says what was asked and why it refused."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What the host's network shall look like.

    `gateway` is the bridge's address, `dns` the cluster DNS's, also put on the bridge; packets
    for `service_cidr` are routed to the bridge, so that they leave with a source that pods know.
    """

    pod_cidr: str = "10.244.0.0/24"
    service_cidr: str = "10.96.0.0/16"
    dns: str = "10.96.0.10"

    @property
    def gateway(self) -> str:
        """The bridge's address: the first one of the pod range."""
        return str(ipaddress.IPv4Network(self.pod_cidr)[1])

    @property
    def prefix(self) -> int:
        """The length of the pod range's prefix."""
        return ipaddress.IPv4Network(self.pod_cidr).prefixlen


class PodNetwork(Protocol):
    """What the kubelet needs of a network; `fake.py` has another."""

    async def ensure(self) -> None:
        """Make the host's side, or mend it. Raises `NetworkFailure`."""
        ...

    async def attach(self, pid: int, address: str, link: str) -> None:
        """Give the network namespace of process `pid` the address, by a link of that name."""
        ...

    async def detach(self, link: str) -> None:
        """Remove a link; absence is success."""
        ...

    async def links(self) -> frozenset[str]:
        """Return the names of the links that `attach` made and that are there."""
        ...


def link_name(sandbox: str) -> str:
    """Return the host-side link of a sandbox by its container name; at most 15 characters."""
    return LINK_PREFIX + hashlib.sha256(sandbox.encode()).hexdigest()[:_LINK_DIGITS]


def is_pod_link(name: str) -> bool:
    """Tell whether a link of the host is one that `link_name` named."""
    return name.startswith(LINK_PREFIX) and len(name) == len(LINK_PREFIX) + _LINK_DIGITS
