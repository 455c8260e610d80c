"""Docker's chain is read when somebody changed nftables, and not while nobody did."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reconciler.kubelet.firewall import ForwardAccept

LOOKS = 20
_IPTABLES = """#!/bin/sh
case "$*" in
*--version) echo "iptables v1.8.9 ({flavour})" ;;
*-S*) echo listed >> {log}
    echo "-A DOCKER-USER -i br0 -j ACCEPT"
    echo "-A DOCKER-USER -o br0 -j ACCEPT" ;;
esac
"""


class Kernel:
    """Counts as many commits as it is told to, and the questions."""

    def __init__(self, changed_at: int = 0) -> None:
        self.asked = 0
        self.changed_at = changed_at
        self.enough = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def commits(self) -> int:
        self.asked += 1
        if self.asked == LOOKS:
            self._loop.call_soon_threadsafe(self.enough.set)
        return 8 if self.changed_at and self.asked >= self.changed_at else 7


async def listings(folder: Path, kernel: Kernel, flavour: str = "nf_tables") -> int:
    """Return how often the rules were read in so many looks."""
    log, program = folder / "log", folder / "iptables"
    program.write_text(_IPTABLES.format(log=log, flavour=flavour))
    program.chmod(0o755)
    rules = ForwardAccept("br0", str(program), interval=0.0, commits=kernel.commits)
    task = asyncio.create_task(rules.run())
    async with asyncio.timeout(20):
        await kernel.enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return len(log.read_text().splitlines())


def test_rules_are_not_read_while_nobody_changed_any(tmp_path: Path) -> None:
    async def scene() -> None:
        assert await listings(tmp_path, Kernel()) == 1

    asyncio.run(scene())


def test_rules_are_read_after_somebody_changed_some(tmp_path: Path) -> None:
    async def scene() -> None:
        assert await listings(tmp_path, Kernel(changed_at=LOOKS // 2)) == 2

    asyncio.run(scene())


def test_an_iptables_of_its_own_is_read_every_time(tmp_path: Path) -> None:
    async def scene() -> None:
        log = tmp_path / "log"
        kernel = Kernel()
        task = asyncio.create_task(listings(tmp_path, kernel, "legacy"))
        async with asyncio.timeout(20):
            while not log.exists() or log.read_text().count("listed") < 3:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.01)
        kernel.enough.set()
        assert await task >= 3
        assert kernel.asked == 0

    asyncio.run(scene())
