"""Cluster IPs and node ports: which are taken, and a free one at random.

Used by the Service strategy alone. What is taken is rebuilt from the live services at start and
kept in memory only: the services themselves are the record.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

from reconciler.core.errors import ReconcilerError
from reconciler.model.address import parse_ip

Pick = Callable[[int], int]
"""Return a random number from 0 up to, but without, the argument."""


class Unavailable(ReconcilerError):
    """The value cannot be had; the message is Kubernetes' own."""


class Pool:
    """Numbers from `first` to `last`; of these, `taken` ones are given only once.

    Random choice prefers numbers from `preferred` on, and leaves the lower ones to those who
    name theirs (Kubernetes' ServiceIPStaticSubrange and ServiceNodePortStaticSubrange).
    """

    def __init__(self, first: int, last: int, preferred: int) -> None:
        self.first = first
        self.last = last
        self._preferred = max(first, preferred)
        self._taken: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def take(self, number: int) -> bool:
        """Take `number`; False when somebody has it."""
        if number in self._taken:
            return False
        self._taken.add(number)
        return True

    def take_any(self, pick: Pick) -> int | None:
        """Take a free number, or return None when there is none."""
        below = min(self._preferred - 1, self.last)  # of a small range all numbers are low ones
        for first, last in ((self._preferred, self.last), (self.first, below)):
            number = self._free(first, last, pick)
            if number is not None:
                self._taken.add(number)
                return number
        return None

    def give_back(self, number: int) -> None:
        """Let others have `number`."""
        self._taken.discard(number)

    def _free(self, first: int, last: int, pick: Pick) -> int | None:
        size = last - first + 1
        if size <= 0:
            return None
        start = pick(size)
        numbers = (first + (start + step) % size for step in range(size))
        return next((number for number in numbers if number not in self._taken), None)


class Addresses:
    """The cluster IPs of one range, its network and broadcast address excepted.

    The first address belongs to the API itself: the service `kubernetes` alone may have it.
    """

    def __init__(self, cidr: str, reserved: tuple[str, ...]) -> None:
        self.cidr = cidr
        network = IPv4Network(cidr)
        first, last = int(network[1]), int(network[-2])
        self._api = first
        self._pool = Pool(first, last, int(network[0]) + _static_band(network.num_addresses, 256))
        for number in (first, *(int(IPv4Address(address)) for address in reserved)):
            self._pool.take(number)

    def take(self, address: str, *, of_api: bool = False) -> None:
        """Take `address`, `of_api` for the API's own service; raises `Unavailable`.

        Text that is no address is validation's matter.
        """
        wanted = parse_ip(address)
        if not isinstance(wanted, IPv4Address) or (of_api and int(wanted) == self._api):
            return
        number = int(wanted)
        if number not in self._pool:
            raise Unavailable(
                f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid"
                f" range. The range of valid IPs is {self.cidr}"
            )
        if not self._pool.take(number):
            raise Unavailable(f"failed to allocate IP {address}: provided IP is already allocated")

    def take_any(self, pick: Pick) -> str:
        """Take a free address at random; raises `Unavailable` when the range is full."""
        number = self._pool.take_any(pick)
        if number is None:
            raise Unavailable("failed to allocate a serviceIP: range is full")
        return str(IPv4Address(number))

    def give_back(self, address: str) -> None:
        """Let others have `address`; that of the API is never given to others."""
        held = parse_ip(address)
        if isinstance(held, IPv4Address) and int(held) != self._api:
            self._pool.give_back(int(held))


class Ports:
    """The node ports, whatever their protocol."""

    def __init__(self, first: int, last: int) -> None:
        self._pool = Pool(first, last, first + _static_band(last - first + 1, 128))

    def take(self, port: int, *, ranged: bool = True) -> None:
        """Take `port`; raises `Unavailable` when it is taken, or `ranged` and not of the range."""
        if ranged and port not in self._pool:
            raise Unavailable(
                "provided port is not in the valid range. The range of valid ports is"
                f" {self._pool.first}-{self._pool.last}"
            )
        if not self._pool.take(port):
            raise Unavailable("provided port is already allocated")

    def take_any(self, pick: Pick) -> int:
        """Take a free port at random; raises `Unavailable` when the range is full."""
        port = self._pool.take_any(pick)
        if port is None:
            raise Unavailable("range is full")
        return port

    def give_back(self, port: int) -> None:
        """Let others have `port`."""
        self._pool.give_back(port)


def _static_band(size: int, largest: int) -> int:
    """Return how many of the first numbers random choice leaves alone at first."""
    smallest = 16
    return 0 if size < smallest else min(max(smallest, size // 16), largest)
