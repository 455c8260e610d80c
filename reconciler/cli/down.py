"""`reconciler down`: remove all that reconciler made on this host, and nothing else (law 10)."""

from __future__ import annotations

import asyncio
import shutil

from rich.console import Console

from reconciler import host, rundir
from reconciler.core.errors import ReconcilerError
from reconciler.core.ownership import find_owner
from reconciler.kubelet.bridge import BridgeNetwork
from reconciler.kubelet.docker import DockerRuntime
from reconciler.kubelet.down import Removed, down
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.firewall import ForwardAccept
from reconciler.proxy.table import remove_table
from reconciler.settings import OWNERSHIP, Settings


class StillRunning(ReconcilerError):
    """A daemon runs; it would make again what is removed."""


def run_down(settings: Settings, console: Console) -> int:
    """Remove it and say what it was; doing it again goes on where it failed.

    Raises `StillRunning`, and what the engine, netlink or nftables refuse.
    """
    owner = find_owner(OWNERSHIP)
    if owner is not None:
        raise StillRunning(f"process {owner.pid} runs ({owner.description}): stop it first")
    removed = asyncio.run(_remove(settings))
    table = remove_table()
    shutil.rmtree(settings.state_dir, ignore_errors=True)
    shutil.rmtree(settings.run_dir / "locks", ignore_errors=True)
    rundir.release(settings.run_dir)
    console.print(
        f"removed {_many(removed.containers, 'container')}, {_many(removed.links, 'link')}, "
        f"{_many(len(removed.images), 'image')}, {'the' if table else 'no'} nftables table, "
        f"{settings.state_dir} and {settings.run_dir}",
        soft_wrap=True,
    )
    if removed.kept:
        names = " ".join(removed.kept)
        console.print(
            f"kept {_many(len(removed.kept), 'volume')} with data; "
            f"`docker volume rm {names}` removes {'it' if len(removed.kept) == 1 else 'them'}",
            soft_wrap=True,
        )
    return 0


async def _remove(settings: Settings) -> Removed:
    runtime = DockerRuntime(settings.docker_socket)
    network = BridgeNetwork(host.network_plan(settings))
    try:
        return await down(
            runtime,
            network,
            ForwardAccept(network.bridge),
            PodFiles(settings.state_dir, settings.run_dir),
        )
    finally:
        await network.close()
        await runtime.close()


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"
