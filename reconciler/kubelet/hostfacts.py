"""What this host is and what it can give, read from the kernel's files.

Called by the composition root and by `node.py`. Reads only.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.kubelet.cgroups import Cgroups


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The host as a Node object tells it. Sizes are bytes.

    `huge_pages` has the bytes of each pool by the size of its pages, empty pools too. All are empty
    where the kernel cannot keep a container to its share.
    """

    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    architecture: str
    cpus: int
    memory: int
    disk: int
    hostname: str
    huge_pages: Mapping[int, int] = field(default_factory=dict)


DATA_ROOT = "/var/lib/docker"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def host_facts(data_root: str = DATA_ROOT) -> HostFacts:
    """Read the facts; `data_root` is where the engine keeps images and containers."""
    return HostFacts(
        machine_id=_line("/etc/machine-id"),
        system_uuid=_line("/sys/class/dmi/id/product_uuid") or _line("/etc/machine-id"),
        boot_id=_line("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=_os_image(),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk=disk_size(data_root),
        hostname=socket.gethostname(),
        huge_pages=huge_pages(Cgroups()),
    )


def huge_pages(cgroups: Cgroups, pools: Path = Path("/sys/kernel/mm/hugepages")) -> dict[int, int]:
    """Return the bytes that pods may have as huge pages, by the size of a page.

    It is none of what the host keeps when nobody could be kept to a share of it.
    """
    limited = cgroups.limits_huge_pages()
    found: dict[int, int] = {}
    for pool in sorted(pools.glob("hugepages-*kB")):
        size = int(pool.name.removeprefix("hugepages-").removesuffix("kB")) << 10
        pages = _line(str(pool / "nr_hugepages"))
        found[size] = size * int(pages) if limited and pages.isdecimal() else 0
    return found


def _line(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return ""


def _os_image() -> str:
    for line in _line("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def disk_size(path: str = DATA_ROOT) -> int:
    """Return the bytes of the disk that a folder lies on, of the root's where there is none."""
    with suppress(OSError):
        return shutil.disk_usage(path).total
    return shutil.disk_usage("/").total
