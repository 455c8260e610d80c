"""Pod addresses of one node: who has which. Pure bookkeeping, no input or output.

Called by the kubelet, which finds the given addresses again after a crash on the sandboxes'
labels. The first address is the bridge's; network and broadcast address are nobody's.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from reconciler.core.errors import Retryable


class Owner(NamedTuple):
    """A pod's sandbox: the pod's uid and the sandbox's attempt."""

    uid: str
    attempt: int


class NoAddress(Retryable):
    """Every address of the range is in use."""


class AddressPool:
    """Addresses of `cidr`, given out in turn, so that one just freed is not reused at once."""

    def __init__(self, cidr: str) -> None:
        self.network = ipaddress.IPv4Network(cidr)
        self.gateway = str(self.network[1])
        self._first = int(self.network[2])
        self._count = self.network.num_addresses - 3
        self._next = 0
        self._owners: dict[str, Owner] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def take(self, owner: Owner) -> str:
        """Give `owner` a free address, or the one that it has; raises `NoAddress`."""
        for address, other in self._owners.items():
            if other == owner:
                return address
        for step in range(self._count):
            place = (self._next + step) % self._count
            address = str(ipaddress.IPv4Address(self._first + place))
            if address not in self._owners:
                self._owners[address] = owner
                self._next = (place + 1) % self._count
                return address
        raise NoAddress(f"no free address in {self.network}: all {self._count} are in use")

    def claim(self, address: str, owner: Owner) -> bool:
        """Note an address found in use; False when another owner has it or it is not of ours."""
        if ipaddress.IPv4Address(address) not in self.network:
            return False
        return self._owners.setdefault(address, owner) == owner

    def free(self, address: str, owner: Owner) -> None:
        """Take the address back, if `owner` has it."""
        if self._owners.get(address) == owner:
            del self._owners[address]

    def free_pod(self, uid: str) -> None:
        """Take back whatever sandboxes of the pod have."""
        self._owners = {a: owner for a, owner in self._owners.items() if owner.uid != uid}
