"""What the proxy acts on: the table in the kernel, connection tracking, addresses of the host.

Protocols, so that `loop.py` and `departures.py` can be run against another kernel than this
host's, and the real ones by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from reconciler.proxy.balanced import BalancedAddresses
from reconciler.proxy.bridge import let_loopback_out
from reconciler.proxy.conntrack import Conntrack
from reconciler.proxy.rules import Element
from reconciler.proxy.ruleset import Pools, Transaction
from reconciler.proxy.skeleton import Network
from reconciler.proxy.table import open_table


class Kernel(Protocol):
    """The table as the loop uses it; `table.Table` is the real one. Every method blocks."""

    def replace(self, everything: Transaction) -> None:
        """Make the table hold exactly this, in one step."""
        ...

    def apply(self, transaction: Transaction) -> None:
        """Carry out a change in one step, or nothing of it and raise `NftError`."""
        ...

    def is_undisturbed(self) -> bool:
        """Tell cheaply that nobody changed any rule since we did."""
        ...

    def matches(self, elements: set[Element]) -> bool:
        """Read the table and tell whether it is as it should be."""
        ...

    def forget_affinity(self, pools: Pools) -> None:
        """Delete the clients' affinity to backends that left."""
        ...

    def close(self) -> None:
        """Let go of the kernel; the rules stay."""
        ...


class Flows(Protocol):
    """Connection tracking as the loop uses it; `conntrack.Conntrack` is the real one."""

    def forget_udp(self, pools: Pools) -> int:
        """Delete the UDP flows that go to backends outside these pools; return how many."""
        ...

    def forget_backend(self, address: str, *, unanswered: bool = False) -> int:
        """Delete the flows that the address answers, or is still to; return how many."""
        ...

    def backends(self) -> frozenset[str]:
        """Return every address that answers a flow."""
        ...

    def close(self) -> None:
        """Close the socket."""
        ...


class Addresses(Protocol):
    """The load balancers' addresses; `balanced.BalancedAddresses` is the real one."""

    def keep_only(self, wanted: Iterable[str]) -> frozenset[str]:
        """Remove our other addresses; return those wanted that the host has not of its own."""
        ...

    def add(self, addresses: Iterable[str]) -> None:
        """Put addresses on the host."""
        ...

    def close(self) -> None:
        """Close the socket; the addresses stay."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """How the loop opens the kernel; by default that of the network namespace it runs in."""

    kernel: Callable[[Network], Kernel] = open_table
    flows: Callable[[], Flows] = Conntrack
    addresses: Callable[[], Addresses] = BalancedAddresses
    let_loopback_out: Callable[[str], object] = let_loopback_out
