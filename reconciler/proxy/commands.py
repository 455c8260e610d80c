"""Transactions as nftables' commands. Pure text; `table.py` sends it.

One text is one transaction of the kernel: all of it happens or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from reconciler.proxy.rules import MAPS, SETS, Element
from reconciler.proxy.ruleset import Transaction
from reconciler.proxy.skeleton import (
    TABLE,
    Network,
    chain_rules,
    definitions,
    fixed_chains,
    fixed_rules,
    signature,
)


def change(transaction: Transaction) -> str:
    """Return the commands that carry out `transaction` on a table that is as it should be."""
    return "\n".join((*_make_chains(transaction.chains), *_elements(transaction)))


def fresh(network: Network, everything: Transaction) -> str:
    """Return the commands that replace the table, whatever it holds, in one step."""
    lines = (
        f"add table {TABLE}",
        f"delete table {TABLE}",
        f'add table {TABLE} {{ comment "{signature(network)}"; }}',
        *definitions(),
        *_append(fixed_rules(network)),
    )
    return "\n".join((*lines, change(everything)))


def refill(network: Network, everything: Transaction, chains: Sequence[str]) -> str:
    """Return the commands that make a table of the same signature right in one step.

    `chains` are those it has now. Unlike `fresh` it keeps the clients' affinity.
    """
    stale = [name for name in chains if name not in fixed_chains()]
    lines = (
        *definitions(),
        *(f"flush map {TABLE} {name}" for name in MAPS if name not in SETS),
        *(f"flush set {TABLE} {name}" for name in SETS),
        *(f"flush chain {TABLE} {name}" for name in (*fixed_chains(), *stale)),
        *(f"delete chain {TABLE} {name}" for name in stale),
        *_append(fixed_rules(network)),
    )
    return "\n".join((*lines, change(everything)))


def forget_affinity(keys: Iterable[str]) -> str:
    """Return the commands that delete these elements of `affinity`."""
    return f"delete element {TABLE} affinity {{ {', '.join(keys)} }}"


def remove() -> str:
    """Return the commands that remove the table, whether it is there or not."""
    return f"add table {TABLE}\ndelete table {TABLE}"


def _make_chains(chains: Iterable[str]) -> Iterator[str]:
    names = tuple(chains)
    yield from (f"add chain {TABLE} {name}" for name in names)
    yield from _append((name, rule) for name in names for rule in chain_rules(name))


def _append(rules: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"add rule {TABLE} {chain} {rule}" for chain, rule in rules)


def _elements(transaction: Transaction) -> Iterator[str]:
    for name, group in groupby(transaction.deletions, attrgetter("map")):
        yield f"delete element {TABLE} {name} {{ {', '.join(e.key for e in group)} }}"
    for name, group in groupby(transaction.additions, attrgetter("map")):
        yield f"add element {TABLE} {name} {{ {', '.join(map(_text, group))} }}"


def _text(element: Element) -> str:
    return f"{element.key} : {element.value}" if element.value else element.key
