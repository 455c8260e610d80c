"""The bare limit: what the Docker API alone needs, at the best parallelism, on this machine now.

The other benchmarks divide by these figures, measured in the same run.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from docker import APIClient

T = TypeVar("T")

LABEL = "reconciler-benchmark"
PARALLEL = 8
SLEEPER = ["/bin/busybox", "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"]


class RawDocker:
    """Containers of the benchmark's own, made as cheaply as Docker can."""

    def __init__(self, image: str) -> None:
        self.image = image
        self._local = threading.local()

    @property
    def api(self) -> APIClient:
        """One connection pool a thread; the SDK's client is not thread-safe under load."""
        if not hasattr(self._local, "api"):
            self._local.api = APIClient(base_url="unix:///var/run/docker.sock", timeout=120)
        return self._local.api

    def start(self, network: str) -> str:
        """Create and start one container, joined to `network`; return its ID."""
        host = self.api.create_host_config(network_mode=network)
        made = self.api.create_container(self.image, SLEEPER, host_config=host, labels={LABEL: "1"})
        self.api.start(made["Id"])
        return str(made["Id"])

    def start_joined(self, count: int) -> tuple[float, list[str]]:
        """Start `count` containers joined to one more; return seconds, the IDs, it last."""
        base = self.start("none")
        seconds, ids = timed(
            lambda: in_parallel(lambda _: self.start(f"container:{base}"), range(count))
        )
        return seconds, [*ids, base]

    def remove(self, ids: Iterable[str]) -> float:
        """Remove containers by force in parallel; return seconds."""
        return timed(
            lambda: in_parallel(lambda each: self.api.remove_container(each, force=True), ids)
        )[0]

    def die_and_start(self) -> tuple[float, float]:
        """Return seconds from a kill to its die event, and of one bare create and start."""
        base = self.start("none")
        victim = self.start(f"container:{base}")
        events = self.api.events(decode=True, filters={"event": "die", "container": victim})
        killed = time.monotonic()
        self.api.kill(victim)
        next(iter(events))
        died = time.monotonic() - killed
        events.close()
        started, replacement = timed(lambda: self.start(f"container:{base}"))
        self.remove([victim, replacement, base])
        return died, started

    def clean(self) -> None:
        """Remove whatever an interrupted run left."""
        left = self.api.containers(all=True, filters={"label": LABEL})
        self.remove([each["Id"] for each in left])


def in_parallel(act: Callable[[T], object], items: Iterable[T]) -> list[object]:
    """Do `act` on all items, `PARALLEL` at a time."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(act, items))


def timed(act: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that `act` took, and its result."""
    begin = time.monotonic()
    result = act()
    return time.monotonic() - begin, result


def swarm_replicas(image: str, count: int) -> float:
    """Return the seconds until a one-node Swarm runs `count` replicas on an overlay network.

    Makes the swarm and leaves it; refuses to touch a host that is part of one.
    """
    state = _docker("info", "--format", "{{.Swarm.LocalNodeState}}")
    if state != "inactive":
        raise SystemExit(f"this host's swarm is {state}; the benchmark would disturb it")
    _docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    try:
        _docker("network", "create", "-d", "overlay", LABEL)
        begin = time.monotonic()
        _docker(
            "service", "create", "-d", "--name", LABEL, "--network", LABEL, "--no-resolve-image",
            "--replicas", str(count), image, *SLEEPER,
        )  # fmt: skip
        while _docker("service", "ls", "--format", "{{.Replicas}}") != f"{count}/{count}":
            time.sleep(0.1)
        return time.monotonic() - begin
    finally:
        subprocess.run(["docker", "service", "rm", LABEL], capture_output=True, check=False)
        # It removes its containers at its leisure: who is measured next must not wait for that.
        while _docker("ps", "-aq", "--filter", f"label=com.docker.swarm.service.name={LABEL}"):
            time.sleep(0.1)
        _docker("swarm", "leave", "--force")
        _remove_gateway()


def _remove_gateway() -> None:
    """Remove the gateway's bridge, which a swarm leaves behind and soon has no use for."""
    deadline = time.monotonic() + 10.0
    known = ("network", "ls", "-q", "--filter", "name=^docker_gwbridge$")
    while _docker(*known) and time.monotonic() < deadline:
        gateway = ["docker", "network", "rm", "docker_gwbridge"]
        subprocess.run(gateway, capture_output=True, check=False)
        time.sleep(0.1)


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
