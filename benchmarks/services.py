"""`python -m benchmarks services`: what a service costs, against the pod's own address.

Run as root. The packet path is measured in network namespaces of its own, with the very rules of
the daemon: direct, through 3 services and through 5,000 by turns, in many rounds of less than half
a second, so that every ratio is one of neighbours in time, either of which is first as often. The
median of the ratios of processor time holds on a busy machine too. iptables as kube-proxy writes
it, haproxy and Docker's published port are there for reference. Each round is told when it is over.
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
SECONDS = 0.3
ROUNDS = 12
PEER_ROUNDS = 2  # they are there for orientation only
AIMS = {"requests/s": 0.90, "connections/s": 0.88, "Gbit/s": 0.97}

_BARE, _OURS = "one nftables rule", "reconciler"

Pairs = dict[tuple[str, int, str], list[tuple[Figure, Figure]]]
"""By way, number of services and what is measured: the direct figure, and the one beside it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the endpoints: `prepare` opens doors to ports of theirs."""

    name: str
    size: int
    prepare: Callable[[tuple[int, ...]], AbstractContextManager[peers.Doors]]


class Rules:
    """The daemon's rules in the lab's host: services of three endpoints each."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @contextmanager
    def services(self, size: int, ports: tuple[int, ...]) -> Iterator[peers.Doors]:
        """Load so many services, and one for each port of the lab's endpoints."""
        rules = RuleSet()
        for number in range(size - 1):
            put(rules, number, peers.address(number), 80, peers.endpoints(number))
        for port in ports:
            put(rules, size + port, ADDRESS, port, ENDPOINTS)
        self._table.replace(rules.everything())
        try:
            yield ADDRESS, ports
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
    sizes = (SMALL, LARGE)
    ours = [Way(_OURS, n, partial(rules.services, n)) for n in sizes]
    others = [
        Way(_BARE, 1, partial(peers.rule_each, made)),
        *(Way("iptables", n, partial(peers.iptables, made, n)) for n in sizes),
        *(Way("haproxy", n, partial(peers.haproxy, made, n)) for n in sizes),
    ]
    pairs: Pairs = defaultdict(list)
    for turn in range(ROUNDS):
        ways = [*ours, *others] if turn < PEER_ROUNDS else ours
        for way in ways if turn % 2 else reversed(ways):
            for what, pair in _compare(made, way, turn).items():
                pairs[way.name, way.size, what].append(pair)
        _tell(turn, pairs)
    bare = {what: median(d.rate for key, each in pairs.items() if key[2] == what for d, _ in each)
            for what in AIMS}  # fmt: skip
    told = ", ".join(f"{rate:,.1f} {what}" for what, rate in bare.items())
    title = f"as a ratio to the pod's own address ({told}), {ROUNDS} x {SECONDS} s"
    ways = [*ours, *others]
    yield _table(f"through a service, {title}", ways, pairs, _by_rate)
    title = "the same by processor time for each unit, which others' work disturbs less"
    yield _table(title, ways, pairs, _by_cost)


def _by_rate(direct: Figure, through: Figure) -> float:
    return through.rate / direct.rate


def _by_cost(direct: Figure, through: Figure) -> float:
    return direct.cost / through.cost


def _tell(turn: int, pairs: Pairs) -> None:
    """Print what the median ratios of processor time are so far."""
    found = (
        f"{size:,}: " + ", ".join(f"{_median(pairs[_OURS, size, what]):.3f}" for what in AIMS)
        for size in (SMALL, LARGE)
    )
    print(f"round {turn + 1} of {ROUNDS}; {'; '.join(found)}", flush=True)


def _median(pairs: list[tuple[Figure, Figure]]) -> float:
    return median(_by_cost(*pair) for pair in pairs)


def _compare(made: Lab, way: Way, turn: int) -> dict[str, tuple[Figure, Figure]]:
    """Return by what is measured the figure of the direct address, and of this way beside it.

    The rules are loaded for both: a pod's own address is behind the same hooks of the kernel.
    """
    measures = (made.requests, made.connections, made.throughput)
    targets = (made.fresh_port(), made.fresh_port(), STREAM_PORT)
    nearby = (made.fresh_port(), made.fresh_port(), STREAM_PORT)
    with way.prepare(targets) as (address, doors):
        made.requests(ENDPOINTS[0], made.fresh_port())  # while the kernel tidies up after the load
        return {
            what: _pair(partial(measure, ENDPOINTS[0], near), partial(measure, address, door), turn)
            for what, measure, near, door in zip(AIMS, measures, nearby, doors, strict=True)
        }


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
    first, _, third = quantiles(ratios, n=4, method="inclusive")
    return f"{first:.2f}-{third:.2f}"
