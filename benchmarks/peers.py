"""What others make of a service, at the same sizes: iptables like kube-proxy's, haproxy, Docker."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from rich.table import Table as Report

from benchmarks import lab as laboratory
from benchmarks.lab import ENDPOINTS, Done, Lab, run, wrk
from tests.integration.images import ensure_busybox

_FIRST_HAPROXY_PORT = 20000
_BRIDGE_ADDRESS = "10.244.0.1"
_OTHER_ADDRESS, _ROUTE = "10.97.200.1", "10.97.0.0/16"

Doors = tuple[str, tuple[int, ...]]
"""An address, and the ports of it that lead to the endpoints' ports, in the order of these."""


def address(number: int) -> str:
    """Return the cluster address of the service of that number."""
    high, low = divmod(number, 250)
    return f"10.96.{high}.{low + 1}"


def endpoints(number: int) -> tuple[str, ...]:
    """Return three addresses that nobody has."""
    high, low = divmod(number, 250)
    return tuple(f"10.244.{high * 3 + index + 1}.{low + 1}" for index in range(3))


@contextmanager
def rule_each(lab: Lab, ports: tuple[int, ...]) -> Iterator[Doors]:
    """Load the least that can be: a rule for each port leads one address to one endpoint."""
    rules = "\n".join(
        f"ip daddr {_OTHER_ADDRESS} tcp dport {port} dnat to {ENDPOINTS[0]}:{port}"
        for port in ports
    )
    table = f"""table ip bare {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        {rules}
    }}
}}"""
    nft = ("ip", "netns", "exec", lab.host, "nft")
    subprocess.run((*nft, "-f", "-"), input=table, text=True, check=True)
    run("ip", "netns", "exec", lab.host, "ip", "route", "replace", _ROUTE, "dev", "reconciler0")
    try:
        yield _OTHER_ADDRESS, ports
    finally:
        run(*nft, "delete", "table", "ip", "bare")


@contextmanager
def iptables(lab: Lab, size: int, ports: tuple[int, ...]) -> Iterator[Doors]:
    """Load chains as kube-proxy writes them; the measured service stands in the middle."""
    services = [(address(number), 80, endpoints(number)) for number in range(size - 1)]
    services[size // 2 : size // 2] = [(_OTHER_ADDRESS, port, ENDPOINTS) for port in ports]
    enter = ("ip", "netns", "exec", lab.host)
    restore = (*enter, "iptables-legacy-restore", "--wait")
    subprocess.run(restore, input="\n".join(_chains(services)), text=True, check=True)
    run(*enter, "ip", "route", "replace", _ROUTE, "dev", "reconciler0")
    try:
        yield _OTHER_ADDRESS, ports
    finally:
        empty = "*nat\nCOMMIT\n"  # restoring a table empties it first
        subprocess.run(restore, input=empty, text=True, check=True)


def _chains(services: list[tuple[str, int, tuple[str, ...]]]) -> Iterator[str]:
    yield "*nat"
    yield ":SERVICES - [0:0]"
    rules = ["-A PREROUTING -j SERVICES", "-A OUTPUT -j SERVICES"]
    for number, (cluster, port, pods) in enumerate(services):
        yield f":SVC-{number} - [0:0]"
        rules.append(f"-A SERVICES -d {cluster}/32 -p tcp --dport {port} -j SVC-{number}")
        for index, pod in enumerate(pods):
            yield f":SEP-{number}-{index} - [0:0]"
            chance = f"-m statistic --mode random --probability {1 / (len(pods) - index):.10f}"
            last = index == len(pods) - 1
            rules.append(f"-A SVC-{number} {'' if last else chance} -j SEP-{number}-{index}")
            rules.append(f"-A SEP-{number}-{index} -p tcp -j DNAT --to-destination {pod}:{port}")
    yield from rules
    yield "COMMIT\n"


@contextmanager
def haproxy(lab: Lab, size: int, ports: tuple[int, ...]) -> Iterator[Doors]:
    """Run haproxy on the host with so many listeners, and those that lead to the endpoints."""
    idle = {_FIRST_HAPROXY_PORT + number: 80 for number in range(size - 1)}
    chosen = dict(enumerate(ports, _FIRST_HAPROXY_PORT + size))
    configuration = laboratory.balancer(_BRIDGE_ADDRESS, idle | chosen)
    with laboratory.haproxy(configuration, "ip", "netns", "exec", lab.host):
        lab.wait(_BRIDGE_ADDRESS, max(chosen))
        yield _BRIDGE_ADDRESS, tuple(chosen)


def docker_report(seconds: float, rounds: int = 2) -> Report:
    """Measure a published port on the real engine, from the host, against the container's own."""
    what = {"requests/s": (), "connections/s": ("-H", "Connection: close")}
    report = Report(
        "way", *what, title="Docker's published port, as a ratio to the container's own"
    )
    with _published() as (direct, ports):
        for name, (where, port) in ports.items():
            cells = []
            for more in what.values():
                ratios = [
                    _rate(wrk(where, port, seconds, *more)) / _rate(wrk(*direct, seconds, *more))
                    for _ in range(rounds)
                ]
                cells.append(f"{median(ratios):.2f}")
            report.add_row(name, *cells)
    return report


def _rate(done: Done) -> float:
    return done.units / done.seconds


@contextmanager
def _published() -> Iterator[tuple[tuple[str, int], dict[str, tuple[str, int]]]]:
    """Publish a port of a container in which haproxy serves; yield where it is reached."""
    published = ("--publish", "8080")
    container = run("docker", "run", "--detach", *published, ensure_busybox(), "sleep", "600")
    try:
        field = "{{.State.Pid}} {{.NetworkSettings.IPAddress}}"
        pid, own = run("docker", "inspect", "--format", field, container.strip()).split()
        port = int(run("docker", "port", container.strip(), "8080").split(":")[1].split()[0])
        source = re.search(r"src (\S+)", run("ip", "route", "get", "192.0.2.1"))
        enter = ("nsenter", "--target", pid, "--net")
        with laboratory.haproxy(laboratory.http_server(8080, 8080), *enter):
            laboratory.wait_for_success("bash", "-c", f"exec 3<>/dev/tcp/{own}/8080")
            ways = {"127.0.0.1 (docker-proxy)": ("127.0.0.1", port)}
            if source is not None:
                ways["the host's address (its iptables rules)"] = (source[1], port)
            yield (own, 8080), ways
    finally:
        run("docker", "rm", "--force", container.strip())
