"""Docker's chain DOCKER-USER lets the pods' bridge through.

Docker drops forwarded packets by default and its chain DOCKER-USER is the documented place for
exceptions. Kept by the kubelet's loop, because dockerd and firewall reloads drop the rules, and
taken away by `down`. Nothing else outside our own nftables table is touched.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

import structlog

from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.podnetwork import NetworkFailure

_CHAIN = "DOCKER-USER"
_LOOK_ANYWAY = 30
"""After so many intervals without a commit the rules are read all the same."""


class ForwardAccept:
    """Two accepts for `bridge`: what comes from it and what goes to it.

    `commits` blocks and returns the kernel's count of changes to nftables; it may raise `OSError`
    and `ReconcilerError`. While the count stands still, so do the rules of an iptables that is
    built on nftables, and no process is started to list them.
    """

    def __init__(
        self,
        bridge: str,
        program: str = "iptables",
        interval: float = 10.0,
        commits: Callable[[], int] | None = None,
    ) -> None:
        self._program, self._interval = program, interval
        self._commits = commits
        self._settled: int | None = None
        self._skipped = 0
        self._on_nftables: bool | None = None
        self._rules = (("-i", bridge, "-j", "ACCEPT"), ("-o", bridge, "-j", "ACCEPT"))
        self._log = structlog.get_logger(component="firewall")

    async def run(self) -> None:
        """Keep the rules until cancelled; they stay when the daemon stops."""
        said = ""
        while True:
            try:
                changed = await self._ensure_unless_settled()
            except NetworkFailure as error:
                if said != str(error):
                    self._log.warning("firewall.failed", reason=str(error))
                said = str(error)
            else:
                said = ""
                if changed:
                    self._log.info("firewall.restored", chain=_CHAIN)
            await asyncio.sleep(self._interval)

    async def _ensure_unless_settled(self) -> bool:
        """Put back what is missing; read nothing while nobody changed anything."""
        count = await self._count()
        if count is not None and count == self._settled and self._skipped < _LOOK_ANYWAY:
            self._skipped += 1
            return False
        self._settled, self._skipped = None, 0
        changed = await self.ensure()
        if not changed:  # what we put in raised the count, and is read once more
            self._settled = count
        return changed

    async def _count(self) -> int | None:
        """Return the kernel's count; None when it says nothing of this iptables' rules."""
        if self._commits is None:
            return None
        if self._on_nftables is None:
            _, words = await self._run("--version")
            self._on_nftables = "nf_tables" in words
        if not self._on_nftables:
            return None
        try:
            return await asyncio.to_thread(self._commits)
        except (OSError, ReconcilerError):
            return None

    async def ensure(self) -> bool:
        """Put back the rules that are missing; True when one was.

        Without the chain (Docker runs with `iptables: false`) there is nothing to do. Raises
        `NetworkFailure` when iptables is absent or refuses.
        """
        code, listing = await self._run("-S", _CHAIN)
        if code:
            return False
        lines = {tuple(line.split()[2:]) for line in listing.splitlines()}
        missing = [rule for rule in self._rules if rule not in lines]
        for rule in missing:
            code, words = await self._run("-I", _CHAIN, *rule)
            if code:
                raise NetworkFailure(f"iptables -I {_CHAIN}: {words}")
        return bool(missing)

    async def remove(self) -> None:
        """Take our rules away, each as often as it is there."""
        for rule in self._rules:
            while not (await self._run("-D", _CHAIN, *rule))[0]:
                pass

    async def _run(self, *arguments: str) -> tuple[int, str]:
        """Run iptables; return its exit code and its words."""
        program = shutil.which(self._program)
        if program is None:
            raise NetworkFailure(f"{self._program} is not installed: `apt-get install iptables`")
        process = await asyncio.create_subprocess_exec(
            program,
            *("-w", "5", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        words, _ = await process.communicate()
        return process.returncode or 0, words.decode().strip()
