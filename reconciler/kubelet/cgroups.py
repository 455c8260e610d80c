"""The kernel's control groups of this host's containers: who runs there, and limits on huge pages.

The engine has no word for the latter.
Called by `starter.py` for a container that just started and by `kubelet.py` for those it finds.
The group of a container lies beside that of its pod's sandbox, so the engine need not be asked.
Version 1 and 2, drivers cgroupfs and systemd. A daemon in a container sees the groups only when
the host's `/sys/fs/cgroup` is given to it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.errors import ReconcilerError
from reconciler.model.podstatus import ContainerUser, LinuxContainerUser
from reconciler.model.quantity import to_int

_PREFIX = "hugepages-"
_PIECE = 64 * 1024
# The kernel's word for a group whose last process has ended.
_GONE = (errno.ENOENT, errno.ENODEV)
_UNITS = ((30, "GB"), (20, "MB"), (10, "KB"))
# The limit of pages that are used, and of those that are set aside by mmap: without the second a
# program that asks for too much is killed at its first access instead of being refused.
_LIMITS = {1: ("limit_in_bytes", "rsvd.limit_in_bytes"), 2: ("max", "rsvd.max")}


class NotLimited(ReconcilerError):
    """A container's huge pages could not be limited."""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The groups below `root`; `proc` is the kernel's list of processes."""

    root: Path = Path("/sys/fs/cgroup")
    proc: Path = Path("/proc")

    def limits_huge_pages(self) -> bool:
        """Tell whether limits on huge pages can be set on this host."""
        folder = self.root if self._version == 2 else self.root / "hugetlb"  # noqa: PLR2004
        known = _text(self.root / "cgroup.controllers").split()
        there = "hugetlb" in known if known else folder.is_dir()
        return there and os.access(folder, os.W_OK)

    def limit_huge_pages(
        self, group: Path | None, sizes: Mapping[int, int], limits: Mapping[str, str]
    ) -> None:
        """Limit each size of page that the host keeps; one that `limits` does not name to none.

        `group` is of the controller `hugetlb`; one that is not there is of a container that has
        ended. Raises `NotLimited`.
        """
        asked = {to_int(name.removeprefix(_PREFIX)): to_int(limits[name])
                 for name in limits if name.startswith(_PREFIX)}  # fmt: skip
        if group is None and any(asked.values()):
            raise NotLimited("the control group of the container is not to be seen")
        if group is not None and group.is_dir():
            for size in (size for size, kept in sizes.items() if kept):
                self._limit(group, size, asked.get(size, 0))

    def _limit(self, group: Path, size: int, amount: int) -> None:
        used, reserved = (group / f"hugetlb.{_page(size)}.{name}" for name in self._names())
        if used.exists():
            for file in (used, reserved) if reserved.exists() else (used,):
                self._write(file, amount)
        elif amount:
            # Version 2 below systemd: the controller need not reach down to containers. Who asks
            # for no pages does not suffer from that.
            raise NotLimited("the controller hugetlb is not enabled for its control group")

    def user(self, group: Path | None) -> ContainerUser | None:
        """Return as whom the first process of a group runs; None where it is not to be seen."""
        processes = _text(group / "cgroup.procs").split() if group else []
        if not processes:
            return None
        first, own = self.proc / min(processes, key=int), self.proc / "self"
        lines = _text(first / "status").splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        if "Groups" not in fields or _text(first / "uid_map") != _text(own / "uid_map"):
            return None  # it ended, or its numbers are another user namespace's
        return ContainerUser(
            linux=LinuxContainerUser(
                uid=int(fields["Uid"].split()[0]),
                gid=int(fields["Gid"].split()[0]),
                supplemental_groups=tuple(map(int, fields["Groups"].split())),
            )
        )

    def beside(self, sandbox: int, sandbox_id: str, container: str, controller: str) -> Path | None:
        """Return a container's group, which has its id where its sandbox's has the sandbox's.

        `sandbox` is the process of the sandbox on the host.
        """
        found = self.of(sandbox, controller)
        if found is None or sandbox_id not in found.name:
            return None
        return found.with_name(found.name.replace(sandbox_id, container))

    def of(self, process: int, controller: str) -> Path | None:
        """Return the group of a process in the hierarchy of a controller."""
        for controllers, path in self._memberships(process):
            unified = not controllers
            if controller in controllers or (unified and self._version == 2):  # noqa: PLR2004
                folder = self.root if unified else self.root / controller
                return folder / path.lstrip("/")
        return None

    def _memberships(self, process: int) -> Iterator[tuple[list[str], str]]:
        for line in _text(self.proc / str(process) / "cgroup").splitlines():
            _number, controllers, path = line.split(":", 2)
            yield [name for name in controllers.split(",") if name], path

    @property
    def _version(self) -> int:
        return 2 if (self.root / "cgroup.controllers").exists() else 1

    def _names(self) -> tuple[str, str]:
        return _LIMITS[self._version]

    def _write(self, file: Path, amount: int) -> None:
        try:
            file.write_text(str(amount))
        except OSError as error:
            if error.errno in _GONE:
                return
            why = "more of them are in use" if error.errno == errno.EBUSY else str(error)
            raise NotLimited(f"cannot limit huge pages to {amount} bytes: {why}") from error


def _page(size: int) -> str:
    """Return the kernel's name of a size of page: 2MB, 1GB, 64KB."""
    return next(f"{size >> bits}{unit}" for bits, unit in _UNITS if size >> bits)


def _text(file: Path) -> str:
    """Return what a file of the kernel's says, empty where there is none.

    Each start reads five of them, and `Path.read_text` takes more than twice as long.
    """
    with suppress(OSError):
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return b"".join(iter(lambda: os.read(descriptor, _PIECE), b"")).decode()
        finally:
            os.close(descriptor)
    return ""
