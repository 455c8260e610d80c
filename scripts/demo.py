"""The guestbook on this host, from a Git repository: `python -m scripts.demo up` and `down`.

Called by `make demo` and `make demo-down`, after Docker, .venv and the images are there. What was
made is written to .cache/demo.json before it is made, so that `down` also ends a demo whose start
failed half-way.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson
from rich.console import Console
from rich.live import Live

from scripts.leftovers import find_leftovers
from scripts.progress import complete, table, watch

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("RECONCILER_CACHE", ROOT / ".cache"))
RECORD = CACHE / "demo.json"
DOCKERD = CACHE / "dockerd.pid"
PROGRAM = ROOT / ".venv" / "bin" / "reconciler"
STATE, RUN = Path("/var/lib/reconciler"), Path("/run/reconciler")
HOST, PORT = "127.0.0.1", 30001
URL = f"http://{HOST}:{PORT}/"
PATIENCE_SECONDS = 180.0
STOP_SECONDS = 30.0

console = Console(highlight=False)


class DemoError(Exception):
    """The demo cannot go on; the message is for the person who asked for it."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made: a folder with the repository and the log, and a process (0: none yet)."""

    folder: Path
    pid: int = 0

    @property
    def repository(self) -> Path:
        """The Git repository that the daemon follows."""
        return self.folder / "cluster-state"

    @property
    def log(self) -> Path:
        """The daemon's log."""
        return self.folder / "daemon.log"

    @property
    def running(self) -> bool:
        """Whether the process is there and is our daemon, not another one under its old number."""
        try:
            arguments = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.repository) in arguments

    def save(self) -> None:
        """Write the record."""
        CACHE.mkdir(parents=True, exist_ok=True)
        RECORD.write_bytes(orjson.dumps(asdict(self), default=str))


def main(arguments: list[str]) -> int:
    """Run `up` or `down`; return the exit code."""
    commands = {"up": up, "down": down}
    if len(arguments) != 1 or arguments[0] not in commands:
        console.print("usage: python -m scripts.demo up|down")
        return 1
    try:
        return commands[arguments[0]]()
    except DemoError as error:
        console.print(f"[red]demo:[/] {error}")
        return 1


def up() -> int:
    """Start the demo unless it runs; return 0 when the page answers."""
    if os.geteuid() != 0:
        raise DemoError("run it as root: the daemon makes network links and nftables rules")
    demo = _load()
    if demo is not None and demo.running and _answers():
        console.print("The demo runs already; nothing was changed.")
        _say_what_next(demo)
        return 0
    if demo is None:
        _refuse_foreign_work()
    if demo is None or not demo.repository.exists():
        demo = _make()
    if not demo.running:
        demo = _start(demo)
    _wait(demo)
    _say_what_next(demo)
    return 0


def down() -> int:
    """Remove what the demo made; return 0 when nothing of it is left."""
    demo = _load()
    if demo is None and not find_leftovers([STATE, RUN]):
        _stop_dockerd()
        console.print("There is no demo on this host; nothing was changed.")
        return 0
    if demo is None:
        raise DemoError(
            "there are things of reconciler on this host, but no demo made from this clone. "
            f"To remove them all: {PROGRAM} down"
        )
    _stop(demo)
    if subprocess.run([PROGRAM, "down"], check=False).returncode != 0:
        raise DemoError(f"`reconciler down` failed; the log of the daemon is {demo.log}")
    shutil.rmtree(demo.folder, ignore_errors=True)
    left = find_leftovers([STATE, RUN, demo.folder])
    if left:
        console.print("[red]Left on this host:[/]", *left, sep="\n  ")
        return 1
    RECORD.unlink()
    _stop_dockerd()
    console.print(
        "Nothing of the demo is left: no container, network, volume, nftables table, link, mount, "
        "process or file.\nThe images stay for the next time; `make clean` removes them."
    )
    return 0


def _load() -> Demo | None:
    try:
        record = orjson.loads(RECORD.read_bytes())
    except FileNotFoundError:
        return None
    return Demo(Path(record["folder"]), record["pid"])


def _refuse_foreign_work() -> None:
    """Raise `DemoError` on a host where reconciler is at work already."""
    left = find_leftovers([STATE, RUN])
    if left:
        raise DemoError(
            "reconciler is or was at work on this host, and the demo shall not touch that:\n  "
            + "\n  ".join(left)
            + f"\nTo remove all of it first: {PROGRAM} down"
        )


def _make() -> Demo:
    """Make the repository (anew, when a reboot emptied the temporary folder)."""
    demo = Demo(Path(tempfile.mkdtemp(prefix="reconciler-demo-")))
    demo.save()
    shutil.copytree(ROOT / "cluster-state", demo.repository)
    _git(demo, "init", "--quiet", "--initial-branch=main")
    _git(demo, "config", "user.name", "Demo")
    _git(demo, "config", "user.email", "demo@example.com")
    _git(demo, "add", "--all")
    _git(demo, "commit", "--quiet", "--message", "Run the guestbook")
    return demo


def _git(demo: Demo, *arguments: str) -> None:
    subprocess.run(["git", "-C", demo.repository, *arguments], check=True)


def _start(demo: Demo) -> Demo:
    """Start the daemon in a session of its own, so that it outlives this terminal."""
    command = [str(PROGRAM), "run", "--source", str(demo.repository)]
    with demo.log.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    started = replace(demo, pid=process.pid)
    started.save()
    return started


def _wait(demo: Demo) -> None:
    """Show the workloads until each is complete and the page answers."""
    end = time.monotonic() + PATIENCE_SECONDS
    with watch(STATE) as progress, Live(console=console, refresh_per_second=8) as live:
        while True:
            workloads = progress.workloads()
            live.update(table(workloads))
            if complete(workloads) and _answers():
                return
            if _ended(demo):
                raise DemoError(f"the daemon ended; its last lines:\n{_tail(demo)}")
            if time.monotonic() > end:
                raise DemoError(f"{URL} does not answer after {PATIENCE_SECONDS:.0f} s; {demo.log}")
            time.sleep(0.1)


def _ended(demo: Demo) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(demo.pid, os.WNOHANG)
    return not demo.running


def _tail(demo: Demo, lines: int = 15) -> str:
    return "\n".join(demo.log.read_text(errors="replace").splitlines()[-lines:])


def _answers() -> bool:
    connection = http.client.HTTPConnection(HOST, PORT, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(demo: Demo) -> None:
    """End the daemon: in order if it will, by force when it takes too long."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not demo.running:
            return
        os.kill(demo.pid, number)
        _until(lambda: not demo.running, STOP_SECONDS)


def _stop_dockerd() -> None:
    """End the dockerd that scripts/ensure-docker started, unless containers of others use it."""
    try:
        pid = int(DOCKERD.read_text())
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ValueError):
        DOCKERD.unlink(missing_ok=True)
        return
    used = subprocess.run(["docker", "ps", "--quiet"], capture_output=True, check=False).stdout
    if used or name != "dockerd":
        return
    os.kill(pid, signal.SIGTERM)
    _until(lambda: not Path(f"/proc/{pid}").exists(), STOP_SECONDS)
    DOCKERD.unlink()
    console.print("Stopped the dockerd that was started for it.")


def _until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def _say_what_next(demo: Demo) -> None:
    program = PROGRAM.relative_to(ROOT)
    console.print(
        f"""
The guestbook: [bold]{URL}[/]
Its manifests: {demo.repository}
The log:       {demo.log}

Try next:
  {program} status --watch
  cd {demo.repository}
  sed -i 's/replicas: 3/replicas: 5/' guestbook/frontend.yaml && git commit -am 'Serve more people'
  docker rm -f $(docker ps -q --filter label=io.kubernetes.container.name=php-redis | head -n 1)
  make demo-down   (removes all of it)""",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
