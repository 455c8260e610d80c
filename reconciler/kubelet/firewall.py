"""Docker's chain DOCKER-USER lets the pods' bridge through.

Docker drops forwarded packets by default and its chain DOCKER-USER is the documented place for
exceptions. Kept by the kubelet's loop, because dockerd and firewall reloads drop the rules, and
taken away by `down`. Nothing else outside our own nftables table is touched.
"""

from __future__ import annotations

import asyncio
import shutil

from reconciler.kubelet.podnetwork import NetworkFailure

_CHAIN = "DOCKER-USER"


class ForwardAccept:
    """Two accepts for `bridge`: what comes from it and what goes to it."""

    def __init__(self, bridge: str, program: str = "iptables") -> None:
        self._program = program
        self._rules = (("-i", bridge, "-j", "ACCEPT"), ("-o", bridge, "-j", "ACCEPT"))

    async def ensure(self) -> bool:
        """Put back the rules that are missing; True when one was.

        Without the chain (Docker runs with `iptables: false`) there is nothing to do. Raises
        `NetworkFailure` when iptables is absent or refuses.
        """
        if await self._run("-n", "-L", _CHAIN):
            return False
        changed = False
        for rule in self._rules:
            if await self._run("-C", _CHAIN, *rule):
                error = await self._run("-I", _CHAIN, *rule)
                if error:
                    raise NetworkFailure(f"iptables -I {_CHAIN}: {error}")
                changed = True
        return changed

    async def remove(self) -> None:
        """Take our rules away, each as often as it is there."""
        for rule in self._rules:
            while not await self._run("-D", _CHAIN, *rule):
                pass

    async def _run(self, *arguments: str) -> str:
        """Run iptables; return "" when it succeeded, else its words."""
        program = shutil.which(self._program)
        if program is None:
            raise NetworkFailure(f"{self._program} is not installed: `apt-get install iptables`")
        process = await asyncio.create_subprocess_exec(
            program,
            "-w",
            "5",
            *arguments,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        return "" if process.returncode == 0 else errors.decode().strip() or "failed"
