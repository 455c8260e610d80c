"""persistentVolumeClaim and ephemeral: what a claim is bound to, made ready on this host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from reconciler.client.protocol import ApiError, Client
from reconciler.kubelet.runtime import EngineVolume
from reconciler.kubelet.volumes.drivers import TYPES
from reconciler.kubelet.volumes.engine import EngineVolumes
from reconciler.kubelet.volumes.hostpath import host_path, host_root
from reconciler.kubelet.volumes.ownership import give_to_group
from reconciler.kubelet.volumes.protocol import (
    Fixed,
    Offload,
    Place,
    Ready,
    Reference,
    Request,
    VolumeError,
)
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.pod import Pod
from reconciler.model.storage import CSIPersistentVolumeSource, PersistentVolume
from reconciler.model.volume import Volume
from reconciler.model.volumebinding import DRIVER, claim_name_of, is_for, is_owned_by
from reconciler.model.volumesource import HostPathVolumeSource

_OURS = ("node", "driver")
_SINGLE_WRITER = {"ReadWriteOnce", "ReadWriteOncePod"}


class ClaimVolume(Fixed):
    """`VolumeKind` of persistentVolumeClaim."""

    source: ClassVar[str] = "persistent_volume_claim"
    folder: ClassVar[str] = "kubernetes.io~claim"

    def __init__(self, offload: Offload, client: Client, engine: EngineVolumes) -> None:
        self._offload, self._client, self._engine = offload, client, engine

    def references(self, volume: Volume) -> Iterable[Reference]:
        """See `VolumeKind.references`."""
        if volume.persistent_volume_claim is not None:
            yield Reference(PersistentVolumeClaim, volume.persistent_volume_claim.claim_name)

    async def prepare(self, request: Request) -> Ready:
        """See `VolumeKind.prepare`."""
        claim = await self._claim(request)
        ready = await self._ready(request, await self._volume(claim))
        asked = request.volume.persistent_volume_claim
        if asked is None or not asked.read_only:
            return ready
        return replace(ready, read_only=True)

    async def teardown(self, place: Place) -> None:
        """See `VolumeKind.teardown`."""
        await self._engine.let_go(place)

    async def _claim(self, request: Request) -> PersistentVolumeClaim:
        """Return the claim when a pod may use it (kubelet's getPVCExtractPV)."""
        namespace = request.pod.metadata.namespace
        name = claim_name_of(request.pod, request.volume)
        try:
            claim = await self._client.get(PersistentVolumeClaim, name, namespace)
        except ApiError as error:
            raise VolumeError(f"failed to fetch PVC from API server: {error}") from error
        if request.volume.ephemeral is not None and not is_owned_by(claim, request.pod):
            raise VolumeError(f"PVC {namespace}/{name} was not created for the pod")
        if claim.metadata.deletion_timestamp is not None and not _runs(request.pod):
            raise VolumeError("PVC is being deleted")
        if claim.status.phase != "Bound" or not claim.spec.volume_name:
            raise VolumeError("PVC is not bound")
        return claim

    async def _volume(self, claim: PersistentVolumeClaim) -> PersistentVolume:
        name = claim.spec.volume_name
        try:
            volume = await self._client.get(PersistentVolume, name)
        except ApiError as error:
            raise VolumeError(f"failed to fetch PV {name} from API server: {error}") from error
        if volume.spec.claim_ref is None or not is_for(volume, claim):
            raise VolumeError(f"PV {name} is bound to another claim")
        return volume

    async def _ready(self, request: Request, volume: PersistentVolume) -> Ready:
        spec = volume.spec
        if spec.volume_mode == "Block":
            device: Ready = await self._offload(_block_device, volume)
            return device
        if spec.host_path is not None:
            return Ready(await self._offload(host_path, spec.host_path))
        if spec.local is not None:
            path: Path = await self._offload(_local, Path(spec.local.path))
            await self._own(request, volume, path)
            return Ready(path)
        if spec.csi is not None and spec.csi.driver == DRIVER:
            return await self._engine_volume(request, volume, spec.csi)
        for attribute in ("nfs", *TYPES):
            source = getattr(spec, attribute)
            if source is not None:
                return await self._engine.ready(attribute, source, request, spec.mount_options)
        raise VolumeError(
            f"the type of PV {volume.metadata.name} is not supported on a Docker host"
        )

    async def _engine_volume(
        self, request: Request, volume: PersistentVolume, source: CSIPersistentVolumeSource
    ) -> Ready:
        wanted = docker_volume(source)
        place = await self._engine.make(wanted)
        path = Path(place) if place else None
        # A daemon in a container does not see the engine's folders.
        if path is not None and await self._offload(path.is_dir):
            await self._own(request, volume, path)
        return Ready(path, wanted.name, read_only=source.read_only)

    async def _own(self, request: Request, volume: PersistentVolume, path: Path) -> None:
        """Give a volume of a single writer to the pod's fsGroup, as Kubernetes does."""
        if set(volume.spec.access_modes) & _SINGLE_WRITER:
            give = partial(give_to_group, path, request.pod, persistent=True)
            await self._offload(give)


class EphemeralVolume(ClaimVolume):
    """`VolumeKind` of ephemeral: a claim that the pod owns, named after both."""

    source: ClassVar[str] = "ephemeral"
    folder: ClassVar[str] = "kubernetes.io~ephemeral"

    def references(self, volume: Volume) -> Iterable[Reference]:
        """See `VolumeKind.references`; the claim's name needs the pod's: a retry finds it."""
        del volume
        return ()


def docker_volume(source: CSIPersistentVolumeSource) -> EngineVolume:
    """Return the engine's volume of a PersistentVolume; its class' parameters are options."""
    attributes = source.volume_attributes
    options = tuple(sorted(pair for pair in attributes.items() if pair[0] not in _OURS))
    return EngineVolume(source.volume_handle, attributes.get("driver", "local"), options)


def _runs(pod: Pod) -> bool:
    """Say whether the pod had its volumes before: it may keep a claim that is being deleted."""
    return pod.status.phase == "Running"


def _block_device(volume: PersistentVolume) -> Ready:
    """Return the device of a volume of the host's, wherever links lead."""
    source = volume.spec.local or volume.spec.host_path
    if source is None:
        raise VolumeError("on a Docker host only local and hostPath volumes can have mode Block")
    device = HostPathVolumeSource(path=source.path, type="BlockDevice")
    root = host_root()
    return Ready(host_path(device, root), foreign=root != Path("/"), block=True)


def _local(path: Path) -> Path:
    if not path.exists():
        raise VolumeError(f'path "{path}" does not exist')
    if not path.is_dir():
        raise VolumeError(f'path "{path}" is no directory')
    return path
