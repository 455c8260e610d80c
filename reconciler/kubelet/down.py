"""Take away all that the kubelet made on this host, and nothing else (law 10).

Called by `reconciler down`, while no daemon runs. What others made is never touched: containers
are found by our label, links and bridge by name, images by repository.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from reconciler.kubelet.bridge import BridgeNetwork
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.firewall import ForwardAccept
from reconciler.kubelet.labels import MANAGED, SCOPE
from reconciler.kubelet.podnetwork import NetworkFailure
from reconciler.kubelet.runtime import ContainerRuntime
from reconciler.kubelet.sandboximage import REPOSITORY


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed: how many containers and links, and the names of images.

    `kept` are the engine's volumes with data, which nobody but their owner may throw away.
    """

    containers: int
    links: int
    images: tuple[str, ...]
    kept: tuple[str, ...] = ()


async def down(
    runtime: ContainerRuntime,
    network: BridgeNetwork,
    firewall: ForwardAccept,
    files: PodFiles,
    *,
    scope: str = SCOPE,
) -> Removed:
    """Remove containers, then network, firewall rules, images and folders.

    Raises `RuntimeFailure` or `NetworkFailure`; doing it again goes on where it failed.
    """
    containers = await runtime.list(f"{MANAGED}={scope}")
    await asyncio.gather(*(runtime.remove(container.id) for container in containers))
    kept = await _volumes(runtime, f"{MANAGED}={scope}")
    links = await network.links()
    await network.remove()
    await _close_firewall(firewall)
    images = await runtime.images(REPOSITORY)
    for image in images:
        await runtime.remove_image(image)
    await files.remove_all()
    return Removed(len(containers), len(links), images, kept)


async def _volumes(runtime: ContainerRuntime, label: str) -> tuple[str, ...]:
    """Remove what only stands for an NFS export; return the volumes that hold data."""
    kept = []
    for volume in await runtime.volumes(label):
        if volume.driver == "local" and ("type", "nfs") in volume.options:
            await runtime.remove_volume(volume.name)
        else:
            kept.append(volume.name)
    return tuple(kept)


async def _close_firewall(firewall: ForwardAccept) -> None:
    """Without iptables there can be no rule of ours."""
    try:
        await firewall.remove()
    except NetworkFailure:
        return
