"""Our table in the kernel: carries transactions out, and tells whether somebody changed it.

Called by `loop.py`, from one worker thread at a time, because everything here blocks. Takes
decisions about the table only, never about services.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from reconciler.proxy import commands
from reconciler.proxy.affinity import stale_clients
from reconciler.proxy.commits import Commits
from reconciler.proxy.nft import RIGHTS, Nft, NftError, NftUnavailable
from reconciler.proxy.readback import Readback
from reconciler.proxy.rules import MAPS, SETS, Element
from reconciler.proxy.ruleset import Pools, Transaction
from reconciler.proxy.skeleton import AFFINITY, TABLE, Network, signature

_NAME = TABLE.removeprefix("ip ")
_AFFINITY_TRIES = 5


class Rules(Protocol):
    """What the table needs of `Nft`."""

    def run(self, commands: str) -> None:
        """Carry out commands as one transaction."""
        ...

    def list_json(self, what: str) -> str:
        """Return `what` ("map ip t name") as JSON text, empty when it is not there."""
        ...

    def close(self) -> None:
        """Release the context."""
        ...


def open_table(network: Network) -> Table:
    """Return the table of the calling thread's network namespace.

    Raises `NftUnavailable` when this host has no libnftables or this process lacks the rights.
    """
    nft = Nft()
    try:
        commits = Commits(_NAME)
    except PermissionError as error:
        nft.close()
        raise NftUnavailable(f"the kernel does not let nftables be followed: {RIGHTS}") from error
    return Table(nft, Readback(), commits, network)


def remove_table() -> bool:
    """Remove our table from the calling thread's network namespace; return whether it was there.

    For `reconciler down`. Raises `NftUnavailable` and `NftError`.
    """
    with Nft() as nft:
        if not nft.list_rules(TABLE):
            return False
        nft.run(commands.remove())
        return True


class Table:
    """The table `ip reconciler` of one network namespace."""

    def __init__(
        self, rules: Rules, readback: Readback, commits: Commits, network: Network
    ) -> None:
        self._nft = rules
        self._readback = readback
        self._commits = commits
        self._network = network
        self._count = -1
        self._own: set[int] = set()
        self._rules = b""

    def replace(self, everything: Transaction) -> None:
        """Make the table hold exactly `everything`, in one step, whatever it holds now.

        A table of ours with the same fixed rules keeps its clients' affinity. Raises `NftError`.
        """
        before = self._readback.generation()
        if self._comment() == signature(self._network):
            chains = self._readback.chains(_NAME)
            self._nft.run(commands.refill(self._network, everything, chains))
        else:
            self._nft.run(commands.fresh(self._network, everything))
        self._rules = self._readback.fingerprint(_NAME)
        self._count = before + 1  # a foreign commit that came just after ours shall show
        self._own.add(before + 1)

    def apply(self, transaction: Transaction) -> None:
        """Carry out a change in one step. Raises `NftError`; then nothing of it happened."""
        before = self._readback.generation()
        self._nft.run(commands.change(transaction))
        if transaction.chains:
            self._rules = self._readback.fingerprint(_NAME)
        self._own.add(before + 1)
        if before == self._count:
            # read again, it would hide a foreign commit that came just after ours
            self._count += 1

    def is_undisturbed(self) -> bool:
        """Tell, at little cost, that no commit but ours touched our table.

        A commit of ours that a foreign one overtook counts as foreign: then nothing is sure.
        """
        self._commits.listen()
        count = self._readback.generation()
        if count != self._count:
            touching = self._commits.touching(self._count, count)
            if touching is None or touching - self._own:
                return False
            self._count = count
        self._commits.settle()
        self._own.clear()
        return True

    def matches(self, elements: set[Element]) -> bool:
        """Read the whole table and tell whether it is as we left it and holds `elements`."""
        self._commits.listen()
        count = self._readback.generation()
        if self._readback.fingerprint(_NAME) != self._rules or self._elements() != elements:
            return False
        self._count = count
        self._commits.settle()
        return True

    def forget_affinity(self, pools: Pools) -> None:
        """Delete the clients' affinity to backends that left.

        `pools` has the backends that each frontend has now; other frontends are left alone.
        Raises `OSError` when the kernel does not answer.
        """
        for _ in range(_AFFINITY_TRIES):
            stale = stale_clients(self._readback.elements(_NAME, AFFINITY), pools)
            if not stale or self._forget(stale):
                return

    def remove(self) -> None:
        """Remove the table, whether it is there or not."""
        self._nft.run(commands.remove())

    def close(self) -> None:
        """Let go of the kernel; the table stays as it is."""
        self._nft.close()
        self._readback.close()
        self._commits.close()

    def _forget(self, keys: Sequence[str]) -> bool:
        try:
            self._nft.run(commands.forget_affinity(keys))
        except NftError:
            return False  # one ran out meanwhile, and deletions are all or nothing
        self._count += 1
        self._own.add(self._count)
        return True

    def _comment(self) -> str:
        """Return the table's comment; where nothing can be read, writing will tell why."""
        try:
            return self._readback.comment(_NAME)
        except OSError:
            return ""

    def _elements(self) -> set[Element]:
        return {Element(name, key, value) for name in MAPS for key, value in self._listed(name)}

    def _listed(self, name: str) -> list[tuple[str, str]]:
        return _decode(self._nft.list_json(f"{_kind(name)} {TABLE} {name}"))


def _kind(name: str) -> str:
    return "set" if name in SETS else "map"


def _decode(listing: str) -> list[tuple[str, str]]:
    """Return a listed map's keys and values (a set's values are empty) in nftables' notation."""
    if not listing:
        return []
    for entry in orjson.loads(listing)["nftables"]:
        if "map" in entry:
            return [(_text(key), _text(value)) for key, value in entry["map"].get("elem", ())]
        if "set" in entry:
            return [(_text(key), "") for key in entry["set"].get("elem", ())]
    return []


def _text(value: Any) -> str:
    match value:
        case {"concat": parts}:
            return " . ".join(map(_text, parts))
        case {"goto": {"target": chain}}:
            return f"goto {chain}"
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"elem": {"val": inner}}:
            return _text(inner)
        case _:
            return str(value)
