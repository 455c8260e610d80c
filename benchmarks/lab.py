"""A host with pods in network namespaces, and the generators that load it.

One pod serves on three addresses, the three endpoints of each measured service, so that every
way to it ends in the same process; another pod holds the clients. wrk sends requests, iperf3
bytes, and haproxy is the server: all three are Debian's, written in C and far from being the
limit themselves; a generator of ours would have to prove that first.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.integration.netns import World, world

ENDPOINTS = ("10.244.0.6", "10.244.0.7", "10.244.0.8")
CLIENT = 9
FIRST_PORT, LAST_PORT = 8000, 8999
STREAM_PORT = 5201
CONNECTIONS = 32
_STREAM_BYTES = "1G"
_DONE = re.compile(r"(\d+) requests in ([\d.]+)(m?s),")
_ERRORS = re.compile(r"Socket errors: (.*)|Non-2xx.*: (\d+)")
_running: set[int] = set()


class Done(NamedTuple):
    """How much was done in how many seconds."""

    units: float
    seconds: float


class Figure(NamedTuple):
    """What a case yields: units a second, and the processor seconds of both ends for a unit.

    The second is what tells the cost of a path while others use the machine too.
    """

    rate: float
    cost: float


class Lab:
    """The namespaces, with the servers running in them."""

    def __init__(self, net: World, seconds: float) -> None:
        self.net, self._seconds = net, seconds
        self.host = net.host
        self._client = net.pod(CLIENT)
        self._server = net.pod(6)
        for address in ENDPOINTS[1:]:
            run(*self.inside(self._server), "ip", "addr", "add", f"{address}/24", "dev", "eth0")
        wide = "net.ipv4.ip_local_port_range=2048 65000"
        run(*self.inside(self._client), "sysctl", "-qw", wide, "net.ipv4.tcp_tw_reuse=1")
        # Tens of thousands of connections a second, each kept for two minutes after its end, fill
        # the table of the kernel, which then drops what begins, whichever way it goes.
        short = "net.netfilter.nf_conntrack_tcp_timeout_time_wait=1"
        run(*self.inside(self.host), "sysctl", "-qw", short)
        self._ports = iter(range(FIRST_PORT, LAST_PORT))

    def fresh_port(self) -> int:
        """Return a port of the servers that no case has used.

        Many short connections to one endpoint port, through several addresses, would meet each
        other's TIME_WAIT and collapse.
        """
        return next(self._ports)

    def requests(self, address: str, port: int) -> Figure:
        """Send requests over connections that stay open."""
        return _costed(lambda: self._wrk(address, port))

    def connections(self, address: str, port: int) -> Figure:
        """Send requests, each on a connection of its own."""
        return _costed(lambda: self._wrk(address, port, "-H", "Connection: close"))

    def throughput(self, address: str, port: int) -> Figure:
        """Send one stream from the client to the server; the unit is a gigabit."""
        return _costed(lambda: self._stream(address, port))

    def _wrk(self, address: str, port: int, *more: str) -> Done:
        return wrk(address, port, self._seconds, *more, enter=self.inside(self._client))

    def _stream(self, address: str, port: int) -> Done:
        command = ("iperf3", "--json", "--client", address, "--port", str(port))
        end = time.monotonic() + 30
        while True:
            amount = ("--bytes", _STREAM_BYTES)
            told = json.loads(run(*self.inside(self._client), *command, *amount))
            if "error" not in told:
                received = told["end"]["sum_received"]
                return Done(received["bytes"] * 8 / 1e9, received["seconds"])
            if time.monotonic() > end:
                raise SystemExit(f"iperf3 through {address}:{port}: {told['error']}")
            time.sleep(0.05)  # the server is still busy with the stream before

    def inside(self, namespace: str) -> tuple[str, ...]:
        """Return the beginning of a command that runs in the namespace."""
        return ("ip", "netns", "exec", namespace)

    @contextmanager
    def servers(self) -> Iterator[None]:
        """Answer HTTP on every port of the range, and take streams."""
        enter = self.inside(self._server)
        stream = (*enter, "iperf3", "--server", "--port", str(STREAM_PORT))
        with haproxy(http_server(FIRST_PORT, LAST_PORT), *enter), process(stream):
            self.wait(ENDPOINTS[0], STREAM_PORT)
            self.wait(ENDPOINTS[0], LAST_PORT)
            yield

    def wait(self, address: str, port: int) -> None:
        """Wait until the client can connect."""
        probe = ("bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}")
        wait_for_success(*self.inside(self._client), *probe)


def wrk(address: str, port: int, seconds: float, *more: str, enter: tuple[str, ...] = ()) -> Done:
    """Return the requests that wrk gets through; a failed one ends the benchmark.

    wrk knows whole seconds only, but tells what it has done so far when it is interrupted.
    """
    url = f"http://{address}:{port}/"
    command = (*enter, "wrk", "-t1", f"-c{CONNECTIONS}", "-d5s", *more, url)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        told = process.communicate()[0]
    found = _DONE.search(told)
    if found is None or not int(found[1]) or _ERRORS.search(told):
        raise SystemExit(f"wrk through {address}:{port} failed:\n{told}")
    return Done(float(found[1]), float(found[2]) * (0.001 if found[3] == "ms" else 1.0))


@contextmanager
def lab(seconds: float) -> Iterator[Lab]:
    """Yield a lab whose cases take so many seconds each; nothing of it is left."""
    missing = [tool for tool in ("wrk", "iperf3", "haproxy") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"install first: apt-get install {' '.join(missing)}")
    with world() as net:
        made = Lab(net, seconds)
        with made.servers():
            yield made


def http_server(first: int, last: int) -> str:
    """Return haproxy's configuration of a server that answers everything by itself."""
    return f"""{_defaults("http")}
frontend all
    bind :{first}-{last}
    http-request return status 200 content-type text/plain string "ok"
"""


def balancer(address: str, ports: dict[int, int]) -> str:
    """Return haproxy's configuration of a TCP proxy: its ports, and the endpoints' behind them."""
    listeners = "".join(
        f"listen l{port}\n    bind {address}:{port}\n    balance roundrobin\n"
        + "".join(f"    server e{n} {each}:{target}\n" for n, each in enumerate(ENDPOINTS))
        for port, target in ports.items()
    )
    return f"{_defaults('tcp')}\n{listeners}"


def _defaults(mode: str) -> str:
    return f"""global
    nbthread 1
    maxconn 4000
defaults
    mode {mode}
    timeout connect 5s
    timeout client 60s
    timeout server 60s"""


@contextmanager
def haproxy(configuration: str, *enter: str) -> Iterator[None]:
    """Run haproxy in the namespace that the words of `enter` lead to."""
    with tempfile.TemporaryDirectory(prefix="haproxy-") as folder:
        file = Path(folder) / "haproxy.cfg"
        file.write_text(configuration)
        with process((*enter, "haproxy", "-db", "-f", str(file))):
            yield


@contextmanager
def process(command: tuple[str, ...]) -> Iterator[None]:
    """Run a program while the block runs."""
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile())
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _running.add(started.pid)
        stack.callback(_running.discard, started.pid)
        stack.callback(started.wait, 10)
        stack.callback(started.terminate)
        yield


def _costed(measure: Callable[[], Done]) -> Figure:
    before = _processor_seconds()
    done = measure()
    return Figure(done.units / done.seconds, (_processor_seconds() - before) / done.units)


def _processor_seconds() -> float:
    """Return what the servers that run, and the clients that ended, have used so far."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    # to the nanosecond, of the one thread that each has; the ticks in `stat` are a hundredth
    running = (Path(f"/proc/{pid}/schedstat").read_text().split()[0] for pid in _running)
    return ended.ru_utime + ended.ru_stime + sum(map(int, running)) / 1e9


def wait_for_success(*command: str) -> None:
    """Run a command again and again until it succeeds, 30 s at most."""
    end = time.monotonic() + 30
    while subprocess.run(command, capture_output=True, check=False).returncode:
        if time.monotonic() > end:
            raise SystemExit(f"not within 30 s: {' '.join(command)}")
        time.sleep(0.05)


def run(*command: str) -> str:
    """Run a command to its end and return its output; its own words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout
