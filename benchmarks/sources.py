"""What a push costs and how soon it has an effect, with one source and with many on one daemon.

    .venv/bin/python -m benchmarks sources

Real Git over the git protocol, the real receiver of webhooks, the store in memory, no controllers.
Each source is a branch with ten objects; the server has them all in both cases, so that `git push`
costs the same. A push is `git push` to a server whose hook posts to the receiver; `effect` is until
the changed object is written. Processor seconds are those of the daemon's process and of the git
processes that it starts.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core import gc
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.following import Following
from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Revision, Source
from reconciler.model.imagepull import ImagePull
from reconciler.model.meta import KubeObject
from reconciler.settings import Settings
from reconciler.sourcesettings import NamedSource
from reconciler.store.memory import MemoryStore
from reconciler.sync.live import followed_kinds

MANY = 1000
OBJECTS = 10
PUSHES = 15
_HOOK = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port}
printf 'POST /s0 HTTP/1.1\\r\\nX-Gitlab-Token: secret\\r\\nContent-Length: 0\\r\\n\\r\\n' >&3
read -r -t 5 line <&3
"""


class Server:
    """A bare repository with a branch a source, served by git daemon."""

    def __init__(self, folder: Path, count: int, hook_port: int) -> None:
        self.path = folder / "all.git"
        _git("init", "--quiet", "--bare", str(self.path))
        stream = "".join(_commit(number, 0) for number in range(count))
        _git("--git-dir", str(self.path), "fast-import", "--quiet", given=stream)
        hook = self.path / "hooks" / "post-receive"
        hook.write_text(_HOOK.format(port=hook_port))
        hook.chmod(0o755)
        self.work = folder / "work"
        self._program = subprocess.Popen(
            self._command(folder, port := _free_port()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"git://127.0.0.1:{port}/all.git"
        _until_listening(port)
        _git("clone", "--quiet", "--branch", "s0", "--single-branch", self.url, str(self.work))

    def _command(self, folder: Path, port: int) -> list[str]:
        core = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
        program = Path(core.stdout.strip()) / "git-daemon"
        return [str(program), "--export-all", "--enable=receive-pack", f"--base-path={folder}",
                "--listen=127.0.0.1", f"--port={port}", "--max-connections=64"]  # fmt: skip

    def change(self, value: int) -> None:
        """Commit another value of the first object of the first source, not pushed yet."""
        (self.work / "0.yaml").write_text(_manifest(0, 0, value))
        _git("-C", str(self.work), *_WHO, "commit", "--quiet", "--all", "--message", f"{value}")

    def push(self) -> None:
        """Push what was committed."""
        _git("-C", str(self.work), "push", "--quiet", "origin", "HEAD:s0")

    def close(self) -> None:
        """End the server."""
        self._program.terminate()
        self._program.wait()


_WHO = ("-c", "user.name=b", "-c", "user.email=b@example.com")


def _commit(number: int, value: int) -> str:
    files = [(f"{n}.yaml", _manifest(number, n, value)) for n in range(OBJECTS)]
    body = "".join(f"M 100644 inline {n}\ndata {len(t)}\n{t}\n" for n, t in files)
    return f"commit refs/heads/s{number}\ncommitter b <b@example.com> 0 +0000\ndata 1\nx\n{body}\n"


def _manifest(source: int, number: int, value: int) -> str:
    name = f"s{source}-{number}"
    meta = f"{{name: {name}, namespace: default}}"
    return f'apiVersion: v1\nkind: ConfigMap\nmetadata: {meta}\ndata: {{value: "{value}"}}\n'


class Bench:
    """The GitOps half of a daemon that follows `count` sources."""

    def __init__(self, folder: Path, server: Server, hook: int, count: int) -> None:
        self.server = server
        (folder / "secret").write_text("secret")
        sources = tuple(
            NamedSource(name=f"s{n}", source=self.server.url, branch=f"s{n}", interval=86_400.0)
            for n in range(count)
        )
        settings = Settings(
            sources=sources,
            state_dir=folder / "state",
            webhook_listen=f"127.0.0.1:{hook}",
            webhook_secret_file=folder / "secret",
        )
        self.registry = Registry(MemoryStore(), SystemClock(), Ids())
        client = LocalClient(self.registry)
        kinds = (*followed_kinds(), Revision, ImagePull)
        informers: dict[type[KubeObject], Informer[KubeObject]] = {
            kind: Informer(client, kind) for kind in kinds
        }
        events = EventRecorder(client, SystemClock(), Ids())
        recorder = events.speaker("sync", "bench")
        self.following = Following(settings, client, SystemClock(), informers, recorder)
        self._events = events
        self._informers = informers
        self._count = count

    async def start(self) -> float:
        """Run until every source is applied; return the seconds that it took."""
        began = time.perf_counter()
        await self.registry.start()
        parts = [
            *(informer.run for informer in self._informers.values()),
            *self.following.parts().values(),
            self._events.run,
        ]
        self._tasks = [asyncio.ensure_future(part()) for part in parts]
        await self._until(lambda: self._applied() == self._count)
        await asyncio.sleep(2)  # the journal writes behind
        return time.perf_counter() - began

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def push(self, value: int) -> tuple[float, float]:
        """Push once; return seconds until the effect, and processor seconds of the whole."""
        self.server.change(value)
        before, began = _spent(), time.perf_counter()
        pushing = asyncio.create_task(asyncio.to_thread(self.server.push))
        await self._until(lambda: self._value() == str(value))
        effect = time.perf_counter() - began
        await pushing
        await asyncio.sleep(0.5)  # the journal writes behind
        return effect, _spent() - before

    def _applied(self) -> int:
        return sum(bool(each.status.applied_revision) for each in self.registry.list(Source))

    def _value(self) -> str:
        return self.registry.get(ConfigMap, "s0-0", "default").data["value"]

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(600):
            while not condition():  # noqa: ASYNC110 - measured finely
                await asyncio.sleep(0.005)


def _spent() -> float:
    """Return the processor seconds of this process and of those that it waited for."""
    own, children = os.times(), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.user + own.system + children.ru_utime + children.ru_stime


async def _measure(count: int, branches: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-sources-") as folder:
        server = Server(Path(folder), branches, hook := _free_port())
        try:
            bench = Bench(Path(folder), server, hook, count)
            start = await bench.start()
            idle = _spent()
            await asyncio.sleep(5)
            idle = (_spent() - idle) / 5
            pushes = [await bench.push(value) for value in range(1, PUSHES + 1)]
            await bench.stop()
        finally:
            server.close()
    return {
        "start_s": start,
        "idle_cpu_share": idle,
        "effect_s": statistics.median(effect for effect, _ in pushes),
        "effect_worst_s": max(effect for effect, _ in pushes),
        "push_cpu_s": statistics.median(spent for _, spent in pushes),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _git(*arguments: str, given: str = "") -> None:
    subprocess.run(["git", *arguments], check=True, input=given.encode(), capture_output=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit("git daemon does not listen")


def main() -> None:
    """Print a line for one source and one for many, and the ratio of what a push costs."""
    gc.tune()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    found = {}
    for count in (1, many):
        found[count] = uvloop.run(_measure(count, many))
        print(f"sources {count:5}", {name: round(value, 4) for name, value in found[count].items()})
    ratio = found[many]["push_cpu_s"] / found[1]["push_cpu_s"]
    print(f"a push to one of {many} sources costs {ratio:.2f} times what it costs alone")


if __name__ == "__main__":
    main()
