"""The daemon without a host and without a source, for `benchmarks/api.py` to talk to.

Prints its kubeconfig in one line when it listens; ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from reconciler.apiserver.http.server import ApiServer, ApiSettings
from reconciler.app import kubelet_informers
from reconciler.cli.kubeconfig import kubeconfig
from reconciler.controlplane import ControlPlane
from reconciler.core import gc, log
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.core.tasks import supervise
from reconciler.settings import Settings
from reconciler.store.sqlite import open_store


async def serve(state: Path) -> None:
    """Serve on any port until standard input ends."""
    settings, clock = Settings(state_dir=state, listen="127.0.0.1:0"), SystemClock()
    store = await open_store(settings.store_path)
    plane = ControlPlane(settings, store, clock, Ids())
    await plane.registry.start()
    kubelet_informers(plane.informers)  # the daemon follows these kinds too
    api = ApiServer(plane.registry, clock, ApiSettings(settings.listen, None, settings.pki_dir))
    stop = asyncio.Event()
    running = asyncio.create_task(supervise({"api": api.run, **plane.parts()}, stop))
    await api.ready.wait()
    print(json.dumps(kubeconfig(Settings(state_dir=state, listen=api.address))), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    await running
    await store.close()


if __name__ == "__main__":
    log.configure("warning")
    gc.tune()
    uvloop.run(serve(Path(sys.argv[1])))
