"""A node's service table in memory: transactions that happen whole, refused, or disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.proxy.adapters import Host as Opened
from reconciler.proxy.nft import NftError
from reconciler.proxy.rules import Element
from reconciler.proxy.ruleset import Pools, Transaction
from reconciler.proxy.skeleton import Network
from tests.sim.engine import Host
from tests.sim.faults import Fault

Take = Callable[[str, int], Fault | None]


class Table:
    """One process' handle of the host's table; the rules outlive it."""

    def __init__(
        self, host: Host, take: Take, crash: Callable[[], None], note: Callable[[str], None]
    ):
        self._host, self._take, self._crash, self._note = host, take, crash, note

    def replace(self, everything: Transaction) -> None:
        self._carry_out("replace", lambda: set(everything.additions))

    def apply(self, transaction: Transaction) -> None:
        def change() -> set[Element]:
            missing = set(transaction.deletions) - self._host.kernel
            if missing or self._host.kernel_foreign:
                raise NftError(f"no such element: {sorted(missing)[:1]}")
            return (self._host.kernel - set(transaction.deletions)) | set(transaction.additions)

        self._carry_out("apply", change)

    def _carry_out(self, name: str, change: Callable[[], set[Element]]) -> None:
        fault = self._take(f"kernel.{name}", self._host.number)
        effect = fault.effect if fault else ""
        if effect == "refuse":
            raise NftError("a fault of the simulation")
        if effect != "crash-before":
            self._host.kernel = change()
            self._host.kernel_foreign = False
            self._note(f"host{self._host.number} kernel {name} {len(self._host.kernel)}")
        if effect.startswith("crash"):
            self._crash()

    def is_undisturbed(self) -> bool:
        return not self._host.kernel_foreign

    def matches(self, elements: set[Element]) -> bool:
        return not self._host.kernel_foreign and self._host.kernel == elements

    def forget_affinity(self, pools: Pools) -> None:
        return

    def close(self) -> None:
        return


class Flows:
    def forget_udp(self, pools: Pools) -> int:
        return 0

    def forget_backend(self, address: str, *, unanswered: bool = False) -> int:
        return 0

    def backends(self) -> frozenset[str]:
        return frozenset()

    def close(self) -> None:
        return


class Balanced:
    def keep_only(self, wanted: Iterable[str]) -> frozenset[str]:
        return frozenset(wanted)

    def add(self, addresses: Iterable[str]) -> None:
        return

    def close(self) -> None:
        return


def opened(
    host: Host, take: Take, crash: Callable[[], None], note: Callable[[str], None]
) -> Opened:
    """Return how the proxy of one process opens the host's kernel."""

    def table(_network: Network) -> Table:
        return Table(host, take, crash, note)

    return Opened(table, Flows, Balanced, lambda _bridge: None)
