"""The pods' bridge on this host, and a link from it into each pod.

Called by the kubelet and by `down`. It knows no pods: process ids, addresses and link names.
Everything is idempotent, so that a crash at any point is mended by doing it again.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from reconciler.kubelet.network import (
    LOOPBACK_INDEX,
    POD_LINK,
    Netlink,
    delete_link,
    hairpin,
    link_index,
    link_up,
    namespace,
    new_address,
    new_bridge,
    new_pair,
    new_route,
)
from reconciler.kubelet.podnetwork import NetworkFailure, NetworkPlan, is_pod_link

T = TypeVar("T")

BRIDGE = "reconciler0"
_SYSCTL = Path("/proc/sys")


class BridgeNetwork:
    """`PodNetwork` on a Linux bridge."""

    def __init__(self, plan: NetworkPlan, bridge: str = BRIDGE) -> None:
        self.plan = plan
        self.bridge = bridge
        self._thread = ThreadPoolExecutor(1, "network")
        self._socket: Netlink | None = None
        self._mtu = 1500

    async def ensure(self) -> None:
        """See `PodNetwork.ensure`."""
        await self._run(self._ensure)

    async def attach(self, pid: int, address: str, link: str) -> None:
        """See `PodNetwork.attach`; takes about 2 ms."""
        await self._run(lambda: self._attach(pid, address, link))

    async def detach(self, link: str) -> None:
        """See `PodNetwork.detach`; the kernel takes its time to let go of a link."""
        # On the common pool: the wait for the kernel must hold up no attach.
        await asyncio.to_thread(delete_link, link)

    async def links(self) -> frozenset[str]:
        """See `PodNetwork.links`."""
        names = await self._run(lambda: self._host().links_of(link_index(self.bridge)))
        return frozenset(name for name in names if is_pod_link(name))

    async def remove(self) -> None:
        """Remove every link of ours and the bridge, with its addresses and routes."""
        for link in sorted(await self.links()):
            await self.detach(link)
        await asyncio.to_thread(delete_link, self.bridge)

    async def close(self) -> None:
        """End the thread and its socket; the network stays."""
        self._thread.shutdown(wait=True)
        if self._socket:
            self._socket.close()
            self._socket = None

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _host(self) -> Netlink:
        if self._socket is None:
            self._socket = Netlink()
        return self._socket

    def _ensure(self) -> None:
        _check_bridge_filter()
        _write_sysctl("net/ipv4/ip_forward", "1")
        host = self._host()
        self._mtu = _uplink_mtu()
        if not link_index(self.bridge):
            host.ask([new_bridge(self.bridge, self.plan.gateway, self._mtu)], allow=errno.EEXIST)
        quicken(self.bridge)
        index = link_index(self.bridge)
        host.ask(
            [
                link_up(index),
                new_address(index, self.plan.gateway, self.plan.prefix),
                new_address(index, self.plan.dns, 32),
            ],
            allow=errno.EEXIST,
        )
        host.ask([new_route(index, self.plan.service_cidr, source=self.plan.gateway)])

    def _attach(self, pid: int, address: str, link: str) -> None:
        host = self._host()
        bridge = link_index(self.bridge)
        if not bridge:
            self._ensure()
            bridge = link_index(self.bridge)
        if link_index(link):
            delete_link(link)
        host.ask([new_pair(link, bridge, pid, address, self._mtu)])
        host.ask([hairpin(link_index(link))])
        with namespace(pid), Netlink() as pod:
            index = link_index(POD_LINK)
            pod.ask(
                [
                    link_up(LOOPBACK_INDEX),
                    new_address(index, address, self.plan.prefix),
                    link_up(index),
                    new_route(index, "0.0.0.0/0", gateway=self.plan.gateway),
                ]
            )


def quicken(bridge: str) -> None:
    """Spare packets from pod to pod through a service what the kernel would do for each of them.

    Such a packet enters and leaves by the bridge. While a redirect might be sent for it, the kernel
    looks up the way back to its source, too. A redirect counts as wanted when either the link or
    "all" says so; every other link keeps its own switch. And while a neighbour is in doubt, packets
    to it go a long way round: it is asked at once then, not five seconds later.

    Where /proc/sys is read-only the network works all the same, so that is no error.
    """
    for path, value in (
        (f"net/ipv4/conf/{bridge}/send_redirects", "0"),
        ("net/ipv4/conf/all/send_redirects", "0"),
        (f"net/ipv4/neigh/{bridge}/delay_first_probe_time", "0"),
    ):
        with suppress(OSError):
            (_SYSCTL / path).write_text(value)


def _uplink_mtu() -> int:
    """Return the MTU of the default route's link, 1500 without one."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            name, target = line.split()[:2]
            if target == "00000000":
                return int(Path(f"/sys/class/net/{name}/mtu").read_text())
    return 1500


def _check_bridge_filter() -> None:
    """Services need packets between two pods of the bridge to pass netfilter."""
    path = "net/bridge/bridge-nf-call-iptables"
    if not (_SYSCTL / path).exists():
        raise NetworkFailure(
            "the kernel module br_netfilter is not loaded, pods could not reach services: "
            "run `modprobe br_netfilter`"
        )
    _write_sysctl(path, "1")


def _write_sysctl(path: str, value: str) -> None:
    file = _SYSCTL / path
    if file.read_text().strip() == value:
        return
    try:
        file.write_text(value)
    except OSError as error:
        name = path.replace("/", ".")
        raise NetworkFailure(
            f"{name} must be {value} and cannot be set: {error.strerror}; "
            f"run `sysctl -w {name}={value}`"
        ) from error
