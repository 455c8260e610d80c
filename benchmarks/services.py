"""`python -m benchmarks services`: what a service costs, against the pod's own address.

Run as root. The packet path is measured in network namespaces of its own, with the very rules of
the daemon: direct, through 3 services and through 5,000 by turns, in many short rounds, so that
every ratio is one of neighbours in time, either of which is first as often. The median of the
ratios of processor time holds on a busy machine too. iptables as kube-proxy writes it, haproxy and
Docker's published port are there for reference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table as Report

from benchmarks import peers, readiness
from benchmarks.lab import ENDPOINTS, STREAM_PORT, Figure, Lab, lab
from reconciler.proxy.rules import Backend, Frontend, Node, serve
from reconciler.proxy.ruleset import Owner, RuleSet
from reconciler.proxy.skeleton import Network
from reconciler.proxy.table import Table, open_table
from tests.integration.netns import inside

NODE = Node("bench", IPv4Network("10.244.0.0/16"))
ADDRESS = "10.96.200.1"
SMALL, LARGE = 3, 5000
SECONDS = 1.0
ROUNDS = 12
PEER_ROUNDS = 3  # they are there for orientation only
AIMS = {"requests/s": 0.90, "connections/s": 0.88, "Gbit/s": 0.97}

_BARE, _OURS = "one nftables rule", "reconciler"
_SCRUTINIZED = (_BARE, _OURS)

Pairs = dict[tuple[str, int, str], list[tuple[Figure, Figure]]]
"""By way, number of services and what is measured: the direct figure, and the one beside it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the endpoints: `prepare` makes a port of it ready, and tells how to get there."""

    name: str
    size: int
    prepare: Callable[[int], AbstractContextManager[tuple[str, int]]]


class Rules:
    """The daemon's rules in the lab's host: services of three endpoints each."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @contextmanager
    def services(self, size: int, port: int) -> Iterator[tuple[str, int]]:
        """Load so many services, one of which leads to `port` of the lab's endpoints."""
        rules = RuleSet()
        for number in range(size - 1):
            put(rules, number, peers.address(number), 80, peers.endpoints(number))
        put(rules, size, ADDRESS, port, ENDPOINTS)
        self._table.replace(rules.everything())
        try:
            yield ADDRESS, port
        finally:
            self._table.remove()


def put(rules: RuleSet, number: int, address: str, port: int, pods: tuple[str, ...]) -> None:
    """Add a service to the rules; the endpoints' port is the service's."""
    pool = tuple(Backend(pod, port) for pod in pods)
    elements = tuple(serve(Frontend(address, "tcp", port, external=False), pool, NODE))
    rules.put(Owner("", "bench", f"s{number}"), elements)


def main() -> None:
    """Measure, and print what came out."""
    console = Console(width=120)
    with lab(SECONDS) as made:
        table = inside(made.host, lambda: open_table(Network()))
        with closing(table):
            for report in _paths(made, Rules(table)):
                console.print(report)
    console.print(readiness.report(LARGE))
    console.print(peers.docker_report(SECONDS))


def _paths(made: Lab, rules: Rules) -> Iterator[Report]:
    ways = [
        Way(_BARE, 1, lambda port: peers.one_rule(made, port)),
        *(Way(_OURS, n, lambda port, n=n: rules.services(n, port)) for n in (SMALL, LARGE)),
        *(Way("iptables", n, lambda port, n=n: peers.iptables(made, n, port))
          for n in (SMALL, LARGE)),
        *(Way("haproxy", n, lambda port, n=n: peers.haproxy(made, n, port))
          for n in (SMALL, LARGE)),
    ]  # fmt: skip
    pairs: Pairs = defaultdict(list)
    for turn in range(ROUNDS):
        for way in ways if turn % 2 else reversed(ways):
            if way.name in _SCRUTINIZED or turn < PEER_ROUNDS:
                for what, direct, through in _compare(made, way, turn):
                    pairs[way.name, way.size, what].append((direct, through))
    bare = {what: median(d.rate for key, each in pairs.items() if key[2] == what for d, _ in each)
            for what in AIMS}  # fmt: skip
    told = ", ".join(f"{rate:,.1f} {what}" for what, rate in bare.items())
    title = f"as a ratio to the pod's own address ({told}), {ROUNDS} x {SECONDS:.0f} s"
    yield _table(f"through a service, {title}", ways, pairs, lambda d, t: t.rate / d.rate)
    title = "the same by processor time for each unit, which others' work disturbs less"
    yield _table(title, ways, pairs, lambda d, t: d.cost / t.cost)


def _compare(made: Lab, way: Way, turn: int) -> Iterator[tuple[str, Figure, Figure]]:
    """Yield (what, figure of the direct address, figure of this way), measured side by side.

    The rules are loaded for both: a pod's own address is behind the same hooks of the kernel.
    """
    measures = (("requests/s", made.requests), ("connections/s", made.connections))
    for what, measure in measures:
        with way.prepare(made.fresh_port()) as (address, port):
            direct = partial(measure, ENDPOINTS[0], made.fresh_port())
            yield what, *_pair(direct, partial(measure, address, port), turn)
    with way.prepare(STREAM_PORT) as (address, port):
        direct = partial(made.throughput, ENDPOINTS[0])
        yield "Gbit/s", *_pair(direct, partial(made.throughput, address, port), turn)


def _pair(
    direct: Callable[[], Figure], through: Callable[[], Figure], turn: int
) -> tuple[Figure, Figure]:
    """Measure both, in an order that alternates."""
    if turn % 2:
        return direct(), through()
    second = through()
    return direct(), second


def _table(
    title: str, ways: list[Way], pairs: Pairs, ratio: Callable[[Figure, Figure], float]
) -> Report:
    report = Report("way", "services", *AIMS, title=title)
    ratios = {key: [ratio(*pair) for pair in each] for key, each in pairs.items()}
    for way in ways:
        found = (ratios[way.name, way.size, what] for what in AIMS)
        cells = (f"{median(each):.2f} ({_middle_half(each)})" for each in found)
        report.add_row(way.name, f"{way.size:,}", *cells)
    grown = (
        median(ratios[_OURS, LARGE, what]) / median(ratios[_OURS, SMALL, what]) for what in AIMS
    )
    report.add_row(_OURS, f"{LARGE:,} / {SMALL}", *(f"{each:.3f}" for each in grown))
    report.add_row("aim", f"{LARGE:,} / {SMALL}: >= 0.95", *(f">= {aim}" for aim in AIMS.values()))
    return report


def _middle_half(ratios: list[float]) -> str:
    """Return between what half of the ratios are."""
    first, _, third = quantiles(ratios, n=4)
    return f"{first:.2f}-{third:.2f}"
