"""All elements that the kernel should hold, by service, and what changed since it was last told.

Pure state: the loop puts each service's elements in and takes one transaction out. Two services
may claim one element: a pod in both shares its hairpin element, an external address may be given
twice. The first owner in order holds it, and when it goes the next one takes over.

**What a packet may still be led to outlives the change.** The kernel commits a change at once, but
a packet on its way looks into several maps, one after the other, and may have its first answer from
before the change and ask for the second after it: for a slot that a pool of three has, and one of
two has not. So an element to which another map leads stays for a while after nothing leads there,
and `leftovers` takes it away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from reconciler.proxy.rules import (
    ENDPOINTS,
    ENTRIES,
    HAIRPIN,
    INSIDE,
    NODE_ENDPOINTS,
    NODE_INSIDE,
    NODE_OUTSIDE,
    OUTSIDE,
    REMOTE,
    SLOTS,
    STICKY,
    STICKY_PORTS,
    Element,
)
from reconciler.proxy.skeleton import chains_behind


class Owner(NamedTuple):
    """Who claims elements; the older object comes first, then the name decides."""

    created: str
    namespace: str
    name: str
    kind: str = "Service"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A change of the kernel's table, all or nothing. Chains come first, deletions next."""

    chains: tuple[str, ...] = ()
    deletions: tuple[Element, ...] = ()
    additions: tuple[Element, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.chains or self.deletions or self.additions)


_Slot = tuple[str, str]
_LED_TO = frozenset((*SLOTS, INSIDE, OUTSIDE, NODE_INSIDE, NODE_OUTSIDE, HAIRPIN, REMOTE))
_STICKY = (STICKY, STICKY_PORTS)

Pools = Mapping[str, frozenset[str]]
"""Frontends and their backends, both in nftables' notation."""


class RuleSet:
    """The elements that should be in the kernel."""

    def __init__(self) -> None:
        self._claims: dict[_Slot, tuple[tuple[Owner, str], ...]] = {}
        self._owned: dict[Owner, tuple[Element, ...]] = {}
        self._before: dict[_Slot, str | None] = {}
        self._chains: set[str] = set()
        self._young: dict[_Slot, str] = {}
        self._old: dict[_Slot, str] = {}

    def put(self, owner: Owner, elements: tuple[Element, ...]) -> None:
        """Replace what `owner` claims; an empty tuple forgets the owner."""
        old = self._owned.get(owner, ())
        if old == elements:
            return
        if elements:
            self._owned[owner] = elements
        else:
            del self._owned[owner]
        for element in set(old).difference(elements):
            self._release(owner, element)
        for element in set(elements).difference(old):
            self._claim(owner, element)

    def take(self) -> Transaction:
        """Return what changed since the last call, sorted; the next call starts from here.

        What others lead to is not deleted yet.
        """
        deletions: list[Element] = []
        additions: list[Element] = []
        for slot, before in self._before.items():
            after, there = self._value(slot), self._there(slot, before)
            if there == after:
                continue
            if after is None and there is not None and slot[0] in _LED_TO:
                self._young[slot] = there
            elif there is not None:
                deletions.append(Element(*slot, there))
            if after is not None:
                additions.append(Element(*slot, after))
        self._before.clear()
        additions.sort()
        chains = _chains(additions) - self._chains
        self._chains |= chains
        return Transaction(tuple(sorted(chains)), tuple(sorted(deletions)), tuple(additions))

    def leftovers(self) -> Transaction:
        """Return the deletions of what nothing led to at the call before this one already."""
        deletions = tuple(sorted(Element(*slot, value) for slot, value in self._old.items()))
        self._old, self._young = self._young, {}
        return Transaction((), deletions)

    def _there(self, slot: _Slot, before: str | None) -> str | None:
        """Return what the kernel holds, which may be what was left."""
        young, old = self._young.pop(slot, None), self._old.pop(slot, None)
        left = old if young is None else young
        return left if before is None else before

    def everything(self) -> Transaction:
        """Return the transaction that fills an empty table; the next `take` starts from here."""
        self._before.clear()
        self._young, self._old = {}, {}
        additions = tuple(sorted(self._present()))
        self._chains = _chains(additions)
        return Transaction(tuple(sorted(self._chains)), (), additions)

    def elements(self) -> set[Element]:
        """Return every element that the kernel should hold, for now or for good."""
        left = (*self._young.items(), *self._old.items())
        return {*self._present(), *(Element(*slot, value) for slot, value in left)}

    def _present(self) -> Iterator[Element]:
        return (Element(*slot, claims[0][1]) for slot, claims in self._claims.items())

    def pools(self, transaction: Transaction) -> Pools:
        """Return the present backends of each frontend that `transaction` touches.

        A frontend is named by its key in `services` or `node-ports`; one that is gone, or that
        refuses, has none.
        """
        return {key: self._pool(key) for key in _frontends(transaction)}

    def sticky(self, transaction: Transaction) -> Pools:
        """Return the part of `pools` whose frontends have, or had until now, client affinity."""
        lost = {element.key for element in transaction.deletions if element.map in _STICKY}
        return {
            key: pool
            for key, pool in self.pools(transaction).items()
            if key in lost or any((name, key) in self._claims for name in _STICKY)
        }

    def _pool(self, key: str) -> frozenset[str]:
        slots = f"{ENDPOINTS if _has_address(key) else NODE_ENDPOINTS}-{key.split(' . ')[-2]}"
        filled = max(_slots(self._value((entry, key)) or "") for entry in ENTRIES)
        backends = (self._value((slots, f"{key} . {slot}")) for slot in range(filled))
        return frozenset(backend for backend in backends if backend)

    def _value(self, slot: _Slot) -> str | None:
        claims = self._claims.get(slot)
        return claims[0][1] if claims else None

    def _claim(self, owner: Owner, element: Element) -> None:
        slot = (element.map, element.key)
        self._before.setdefault(slot, self._value(slot))
        claims = self._claims.get(slot, ())
        self._claims[slot] = tuple(sorted((*claims, (owner, element.value))))

    def _release(self, owner: Owner, element: Element) -> None:
        slot = (element.map, element.key)
        self._before.setdefault(slot, self._value(slot))
        left = tuple(claim for claim in self._claims[slot] if claim != (owner, element.value))
        if left:
            self._claims[slot] = left
        else:
            del self._claims[slot]


def _chains(elements: Iterable[Element]) -> set[str]:
    verdicts = {element.value for element in elements if element.value.startswith("goto ")}
    return {chain for verdict in verdicts for chain in chains_behind(verdict[5:])}


def _frontends(transaction: Transaction) -> set[str]:
    found = set()
    for element in (*transaction.deletions, *transaction.additions):
        if element.map in ENTRIES:
            found.add(element.key)
        elif element.map in SLOTS:
            found.add(element.key.rpartition(" . ")[0])
    return found


def _slots(verdict: str) -> int:
    """Return up to which slot the chain of a verdict draws: "goto spread-tcp-3.2" up to 5."""
    size, _, first = verdict.rpartition("-")[2].partition(".")
    return int(size) + int(first or 0) if size.isdecimal() else 0


def _has_address(key: str) -> bool:
    return key.count(" . ") > 1
