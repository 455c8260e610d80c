"""Service rules into a real kernel: first load, take-over, and one endpoint's change.

Run as root. Works in a network namespace of its own, which it makes and removes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from ipaddress import IPv4Network
from statistics import median

from rich.console import Console
from rich.table import Table as Report

from reconciler.model.endpointslice import Endpoint, EndpointPort, EndpointSlice
from reconciler.model.meta import ObjectMeta
from reconciler.model.service import Service, ServicePort, ServiceSpec
from reconciler.proxy.rules import Node, compile_service
from reconciler.proxy.ruleset import Owner, RuleSet
from reconciler.proxy.skeleton import Network
from reconciler.proxy.table import Table, open_table

NODE = Node("bench", IPv4Network("10.244.0.0/16"))
ENDPOINTS = 3
CHANGES = 31
# LIMITS.md, the same machine class: first load and one change of a flat map, milliseconds
LIMITS = {100: (14.0, 0.6), 1000: (106.0, 0.5), 5000: (641.0, 3.2)}


def main() -> None:
    """Measure each size and print the table."""
    report = Report(
        "services x 3", "compile ms", "load ms", "bare",
        "take-over ms", "change ms", "bare", "check ms",
        title="service rules in the kernel (bare: the figures of the design's own measurement)",
    )  # fmt: skip
    for size, bare in LIMITS.items():
        with closing(open_table(Network())) as table:
            report.add_row(str(size), *_measure(table, size, bare))
            table.remove()
    Console(width=120).print(report)


def _measure(table: Table, size: int, bare: tuple[float, float]) -> list[str]:
    rules = RuleSet()
    objects = [_objects(number, 0) for number in range(size)]
    compiled = _timed(lambda: [_put(rules, *each) for each in objects])
    everything = rules.everything()
    load = _timed(lambda: table.replace(everything))
    again = _timed(lambda: table.replace(everything))
    changes = [
        _timed(lambda turn=turn: _change(rules, table, size // 2, turn))  # type: ignore[misc]
        for turn in range(1, CHANGES)
    ]
    check = _timed(lambda: table.matches(rules.elements()))
    figures = (compiled, load, bare[0], again, median(changes), bare[1], check)
    return [f"{figure:.1f}" for figure in figures]


def _change(rules: RuleSet, table: Table, number: int, turn: int) -> None:
    _put(rules, *_objects(number, turn))
    table.apply(rules.take())


def _put(rules: RuleSet, service: Service, slices: tuple[EndpointSlice, ...]) -> None:
    owner = Owner("", "bench", service.metadata.name)
    rules.put(owner, compile_service(service, slices, NODE))


def _objects(number: int, turn: int) -> tuple[Service, tuple[EndpointSlice, ...]]:
    high, low = divmod(number, 250)
    ports = (ServicePort(name="http", port=80, protocol="TCP"),)
    address = f"10.96.{high}.{low + 1}"
    service = Service(
        metadata=ObjectMeta(name=f"s{number}", namespace="bench"),
        spec=ServiceSpec(cluster_ip=address, cluster_ips=(address,), type="ClusterIP", ports=ports),
    )
    addresses = (f"10.244.{high * 4 + index + turn % 4}.{low + 1}" for index in range(ENDPOINTS))
    part = EndpointSlice(
        address_type="IPv4",
        endpoints=tuple(Endpoint(addresses=(ip,), node_name="bench") for ip in addresses),
        ports=(EndpointPort(name="http", port=8080, protocol="TCP"),),
    )
    return service, (part,)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _in_own_namespace() -> None:
    name = f"reconciler-bench-{os.getpid()}"
    subprocess.run(("ip", "netns", "add", name), check=True)
    try:
        again = ("ip", "netns", "exec", name, sys.executable, __file__, "inside")
        subprocess.run(again, check=True)
    finally:
        subprocess.run(("ip", "netns", "del", name), check=True)


if __name__ == "__main__":
    main() if sys.argv[1:] == ["inside"] else _in_own_namespace()
