"""Containers that run since a moment ago: they are limited where the engine cannot do it.

As whom they began is noted, too.
Called by `starter.py` for what it started, by `kubelet.py` for what it finds after a crash, and
read by `reporter.py`. All of it is on this host: the engine is asked for nothing but a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from reconciler.kubelet import roster
from reconciler.kubelet.cgroups import Cgroups
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.model.container import Container
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerUser

_HUGE_PAGES = "hugetlb"
# A controller that every container is under.
_ANY = "pids"


class Newcomers:
    """The new containers of one host; `users` are as whom they began, by container id.

    `huge_pages` are the bytes that the host keeps by the size of a page.
    """

    def __init__(self, cgroups: Cgroups, huge_pages: Mapping[int, int]) -> None:
        self.users: dict[str, ContainerUser] = {}
        self._cgroups, self._huge_pages = cgroups, huge_pages

    def receive(self, container: str, spec: Container, sandbox: PodContainer) -> None:
        """Take in a container that was just started. Raises `NotLimited`: it must not run on."""
        beside = self._cgroups.beside
        user = self._cgroups.user(beside(sandbox.state.pid, sandbox.id, container, _ANY))
        if user is not None:
            self.users[container] = user
        if any(self._huge_pages.values()):
            group = beside(sandbox.state.pid, sandbox.id, container, _HUGE_PAGES)
            self._cgroups.limit_huge_pages(group, self._huge_pages, spec.resources.limits)

    def forget(self, container: str) -> None:
        """The container is gone."""
        self.users.pop(container, None)

    async def adopt(
        self, pod: Pod, found: Iterable[PodContainer], runtime: ContainerRuntime
    ) -> None:
        """Limit what was started by a kubelet that ended before it could. Raises `NotLimited`."""
        if not any(self._huge_pages.values()):
            return
        for container in found:
            member = roster.member(pod, container.name)
            if member is None or not container.running:
                continue
            with suppress(RuntimeFailure):  # it ended meanwhile, or a relist finds it again
                process = (await runtime.inspect(container.id)).pid
                limits = member.container.resources.limits
                group = self._cgroups.of(process, _HUGE_PAGES) if process else None
                if group is not None:
                    self._cgroups.limit_huge_pages(group, self._huge_pages, limits)
