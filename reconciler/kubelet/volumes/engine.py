"""Volumes that the engine mounts: network file systems, and disks behind a volume plugin.

The kinds of pods' own sources are here; `claim.py` uses the same for PersistentVolumes. A volume
of a plugin is never removed from the engine: for many plugins that would delete the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from reconciler.client.protocol import ApiError, Client
from reconciler.kubelet.labels import MANAGED
from reconciler.kubelet.runtime import (
    ContainerRuntime,
    EngineVolume,
    RuntimeConflict,
    RuntimeFailure,
)
from reconciler.kubelet.volumes.drivers import TYPES, nfs_volume, plugin_volume
from reconciler.kubelet.volumes.protocol import (
    Fixed,
    Offload,
    Place,
    Ready,
    Request,
    VolumeError,
)
from reconciler.model.base import Model
from reconciler.model.service import Endpoints

_NAME = "engine-volume"


class EngineVolumes:
    """Makes volumes in the engine for sources; `drivers` are the plugins by type."""

    def __init__(
        self,
        offload: Offload,
        runtime: ContainerRuntime,
        client: Client,
        drivers: Mapping[str, str],
        scope: str,
    ) -> None:
        self._offload, self._runtime, self._client = offload, runtime, client
        self._drivers, self._scope = drivers, scope

    async def ready(
        self, attribute: str, source: Any, request: Request, mount_options: tuple[str, ...] = ()
    ) -> Ready:
        """Make the volume of a source; `attribute` is its member of VolumeSource."""
        if attribute == "nfs":
            wanted = nfs_volume(source, mount_options)
            await self._offload(_note, request.place, wanted.name)
        else:
            servers = await self._servers(source, request) if attribute == "glusterfs" else ()
            wanted = plugin_volume(TYPES[attribute], source, self._drivers, servers, mount_options)
        await self.make(wanted)
        return Ready(engine_volume=wanted.name, read_only=_read_only(source))

    async def make(self, wanted: EngineVolume) -> str:
        """Make a volume unless it is there; return where this host sees it. May raise."""
        try:
            return await self._runtime.create_volume(
                EngineVolume(
                    wanted.name,
                    wanted.driver,
                    wanted.options,
                    {**wanted.labels, MANAGED: self._scope},
                )
            )
        except RuntimeFailure as error:
            raise VolumeError(f"volume driver {wanted.driver}: {error}") from error

    async def let_go(self, place: Place) -> None:
        """Remove the NFS volume that a pod used, unless another uses it."""
        name = await self._offload(_noted, place)
        if not name:
            return
        try:
            await self._runtime.remove_volume(name)
        except RuntimeConflict:
            return  # another pod uses it; the last one removes it
        except RuntimeFailure as error:
            raise VolumeError(str(error)) from error

    async def _servers(self, source: Any, request: Request) -> tuple[str, ...]:
        """Return the addresses of the endpoints that a glusterfs source names."""
        namespace = getattr(source, "endpoints_namespace", None) or request.pod.metadata.namespace
        try:
            found = await self._client.get(Endpoints, source.endpoints, namespace)
        except ApiError as error:
            raise VolumeError(str(error)) from error
        addresses = tuple(a.ip for subset in found.subsets for a in subset.addresses)
        if not addresses:
            raise VolumeError(f'endpoints "{source.endpoints}" have no address')
        return addresses


def _read_only(source: Model) -> bool:
    return bool(getattr(source, "read_only", False))


def _note(place: Place, name: str) -> None:
    place.disk.mkdir(parents=True, exist_ok=True)
    (place.disk / _NAME).write_text(name)


def _noted(place: Place) -> str:
    file: Path = place.disk / _NAME
    return file.read_text() if file.exists() else ""


class NetworkVolume(Fixed):
    """`VolumeKind` of nfs, and by `network_kind` of each source that a plugin serves."""

    source: ClassVar[str] = "nfs"
    folder: ClassVar[str] = "kubernetes.io~nfs"

    def __init__(self, engine: EngineVolumes) -> None:
        self._engine = engine

    async def prepare(self, request: Request) -> Ready:
        """See `VolumeKind.prepare`."""
        source = getattr(request.volume, self.source)
        return await self._engine.ready(self.source, source, request)

    async def teardown(self, place: Place) -> None:
        """See `VolumeKind.teardown`."""
        await self._engine.let_go(place)


def network_kind(attribute: str, engine: EngineVolumes) -> NetworkVolume:
    """Return the kind of a source that a plugin serves."""
    names = {"source": attribute, "folder": f"kubernetes.io~{TYPES[attribute].lower()}"}
    made: type[NetworkVolume] = type(f"{TYPES[attribute]}Volume", (NetworkVolume,), names)
    return made(engine)
