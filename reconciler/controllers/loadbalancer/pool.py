"""The addresses that load balancers are given from. Pure; called by the settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

_POINT_TO_POINT = 31
"""From this prefix length on, a network has no address of its own and none for broadcasts."""


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Every address from `first` to `last`."""

    first: IPv4Address
    last: IPv4Address

    def overlaps(self, network: IPv4Network) -> bool:
        """Say whether some address of the range is in `network`."""
        return self.first <= network.broadcast_address and network.network_address <= self.last


@dataclass(frozen=True, slots=True)
class AddressPool:
    """Ranges of addresses, in the order in which they are given out."""

    ranges: tuple[AddressRange, ...] = ()

    def __contains__(self, address: IPv4Address) -> bool:
        return any(each.first <= address <= each.last for each in self.ranges)

    def __iter__(self) -> Iterator[IPv4Address]:
        for each in self.ranges:
            yield from map(IPv4Address, range(int(each.first), int(each.last) + 1))


def parse_pool(text: str) -> AddressPool:
    """Read "192.168.1.240/28, 10.0.0.5-10.0.0.9, 10.0.1.1"; raises `ValueError` naming the part.

    A network's first and last address are no host's and are left out; those of a range are not.
    """
    parts = (part.strip() for part in text.split(","))
    return AddressPool(tuple(_range(part) for part in parts if part))


def _range(part: str) -> AddressRange:
    first, dash, last = part.partition("-")
    try:
        if not dash:
            return _hosts(IPv4Network(part))
        found = AddressRange(IPv4Address(first.strip()), IPv4Address(last.strip()))
    except ValueError as error:
        raise ValueError(f"{part!r}: {error}") from error
    if found.last < found.first:
        raise ValueError(f"{part!r}: the last address is before the first")
    return found


def _hosts(network: IPv4Network) -> AddressRange:
    edge = 1 if network.prefixlen < _POINT_TO_POINT else 0
    return AddressRange(network.network_address + edge, network.broadcast_address - edge)
