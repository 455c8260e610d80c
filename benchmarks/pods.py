"""(a)-(f) of `make bench`: pods on real Docker, against bare limits and peers of the same run.

Run as root on a host with Docker and without a running reconciler.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from docker import APIClient
from rich.console import Console
from rich.table import Table

from benchmarks.daemon import Daemon, replication_controller
from benchmarks.raw_docker import SLEEPER, RawDocker, swarm_replicas

PODS = 30
REPEAT = 3
IDLE_PODS = 50
IDLE_SECONDS = 30.0
SANDBOX = "io.kubernetes.docker.type=podsandbox"
IMAGE = "reconciler-benchmark/busybox:1"


class Report:
    """Collects rows and prints them as one table."""

    def __init__(self) -> None:
        self.table = Table("what", "ours", "against", "ratio", "aim", title="pods on Docker")

    def ratio(self, what: str, ours: float, bare: float, aim: float) -> None:
        """Add a figure that is measured against another of the same run."""
        self.table.add_row(
            what, f"{ours:.3f} s", f"{bare:.3f} s", f"{ours / bare:.2f}", f"<= {aim}"
        )

    def figure(self, what: str, ours: str, aim: str) -> None:
        """Add a figure that stands alone."""
        self.table.add_row(what, ours, "", "", aim)


def main() -> None:
    """Measure all and print the table."""
    report = Report()
    with _image():
        raw = RawDocker(IMAGE)
        raw.clean()
        _start_and_remove(raw, report)
        _swarm(report)
        _recover(raw, report)
        _latency(report)
        _idle(report)
    Console().print(report.table)


@contextmanager
def _image() -> Iterator[None]:
    archive = subprocess.run(
        ["tar", "-C", "/", "--dereference", "-c", "bin/busybox"], capture_output=True, check=True
    ).stdout
    subprocess.run(["docker", "import", "-", IMAGE], input=archive, capture_output=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "rmi", IMAGE], capture_output=True, check=True)


def _start_and_remove(raw: RawDocker, report: Report) -> None:
    starts, removals, bare_starts, bare_removals = [], [], [], []
    with Daemon() as daemon:
        for _ in range(REPEAT):
            seconds, ids = raw.start_joined(2 * PODS)
            bare_starts.append(seconds)
            bare_removals.append(raw.remove(ids))
            starts.append(_timed_commit(daemon, PODS))
            removals.append(_timed_removal(daemon))
    report.ratio(
        f"(a) commit to {PODS} pods Ready / raw containers",
        median(starts),
        median(bare_starts),
        1.15,
    )
    report.ratio(
        f"(c) {PODS} pods removed by a commit / raw rm -f",
        median(removals),
        median(bare_removals),
        1.2,
    )


def _timed_commit(daemon: Daemon, replicas: int) -> float:
    """Ask for pods where none are; return the seconds until the last one is Ready."""
    begin = _commit(daemon, replicas)
    ready = daemon.wait_for("pod.ready", since=begin, count=replicas)
    daemon.wait_for("revision.healthy", since=begin)
    return ready - begin


def _commit(daemon: Daemon, replicas: int) -> float:
    return daemon.apply({"many.json": replication_controller("many", replicas, IMAGE, SLEEPER)})


def _timed_removal(daemon: Daemon) -> float:
    with happened("destroy", "io.kubernetes.pod.namespace=bench") as destroyed:
        begin = daemon.apply({"many.json": None})
        while len(destroyed) < 2 * PODS:
            time.sleep(0.02)
        return max(destroyed) - begin


def _swarm(report: Report) -> None:
    """Measure by turns: the machine of one minute is not that of the next."""
    ours, peers = [], []
    for _ in range(REPEAT):
        peers.append(swarm_replicas(IMAGE, PODS))
        with Daemon() as daemon:
            ours.append(_timed_commit(daemon, PODS))
    report.ratio(
        f"(b) the same / Swarm, {PODS} replicas on an overlay", median(ours), median(peers), 0.45
    )


def _recover(raw: RawDocker, report: Report) -> None:
    bare, containers, sandboxes = [], [], {}
    killed: set[str] = set()
    with Daemon() as daemon:
        for pods in (3, PODS):
            daemon.wait_for("revision.healthy", since=_commit(daemon, pods))
            sandboxes[pods] = median(_after_kill(daemon, "podsandbox", killed) for _ in range(3))
        for _ in range(5):
            died, started = raw.die_and_start()
            bare.append(died + started)
            containers.append(_after_kill(daemon, "container", killed))
    report.ratio(
        "(d) docker kill to running again / die event and bare start",
        median(containers),
        median(bare),
        1.3,
    )
    for pods, seconds in sandboxes.items():
        report.figure(f"(d) sandbox death to Ready, {pods} pods", f"{seconds:.3f} s", "< 0.35 s")


def _after_kill(daemon: Daemon, kind: str, killed: set[str]) -> float:
    """Kill one container of a pod; return the seconds until its pod is Ready again.

    Of each pod only once, and added to `killed`: a second time the back-off would be measured.
    """
    docker = APIClient(timeout=120)
    labels = ["io.kubernetes.pod.namespace=bench", f"io.kubernetes.docker.type={kind}"]
    running = docker.containers(filters={"label": labels, "status": "running"})
    pods = {each["Labels"]["io.kubernetes.pod.name"]: each for each in running}
    pod = min(set(pods) - killed)
    killed.add(pod)
    victim = pods[pod]
    begin = time.time()
    docker.kill(victim["Id"])
    return daemon.wait_for("pod.ready", since=begin, where=lambda line: line["name"] == pod) - begin


def _latency(report: Report) -> None:
    for git, what, aim in ((True, "repository", 0.3), (False, "directory", 0.1)):
        firsts, running = [], []
        with Daemon(git=git) as daemon, happened("create", SANDBOX) as creations:
            for number in range(5):
                name = f"one-{number}"
                begin = daemon.apply(
                    {f"{name}.json": replication_controller(name, 1, IMAGE, SLEEPER)}
                )
                running.append(daemon.wait_for("pod.ready", since=begin) - begin)
                firsts.append(min(each for each in creations if each > begin) - begin)
        report.figure(
            f"(e) {what}: change to first Docker call", f"{median(firsts):.3f} s", f"< {aim} s"
        )
        report.figure(f"(e) {what}: change to pod Running", f"{median(running):.3f} s", "< 0.5 s")


@contextmanager
def happened(event: str, label: str) -> Iterator[list[float]]:
    """Collect the wall-clock times of Docker's events of containers with that label."""
    times: list[float] = []
    events = APIClient(timeout=None).events(decode=True, filters={"event": event, "label": label})

    def collect() -> None:
        with contextlib.suppress(Exception):  # the stream is closed under the thread
            times.extend(event["timeNano"] / 1e9 for event in events)

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    try:
        yield times
    finally:
        events.close()


def _idle(report: Report) -> None:
    with Daemon() as daemon:
        daemon.wait_for("revision.healthy", since=_commit(daemon, IDLE_PODS))
        time.sleep(5)
        before, _ = daemon.cost()
        time.sleep(IDLE_SECONDS)
        after, memory = daemon.cost()
    report.figure(f"(f) idle with {IDLE_PODS} pods: memory", f"{memory:.1f} MB", "< 80 MB")
    report.figure(
        f"(f) idle with {IDLE_PODS} pods: CPU",
        f"{(after - before) / IDLE_SECONDS:.2%} of a core",
        "< 0.5 %",
    )


if __name__ == "__main__":
    main()
