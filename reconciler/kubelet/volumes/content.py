"""secret, configMap and downwardAPI: files made of objects, kept up to date while the pod runs.

What may be secret lies on tmpfs (law 9); a ConfigMap's files lie on the disk, as Kubernetes'. A
change reaches all files of a volume at once. Containers may only read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from reconciler.kubelet.volumes import atomic
from reconciler.kubelet.volumes.atomic import File
from reconciler.kubelet.volumes.ownership import fs_group
from reconciler.kubelet.volumes.payloads import DEFAULT_MODE, Reader
from reconciler.kubelet.volumes.protocol import (
    Offload,
    Place,
    Ready,
    Reference,
    Request,
    VolumeError,
)
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.volume import Volume


class Content:
    """What these kinds share: everything but the files."""

    on_disk: ClassVar[bool] = False

    def __init__(self, offload: Offload, reader: Reader) -> None:
        self._offload, self._reader = offload, reader

    async def payload(self, request: Request) -> dict[str, File]:
        """Return the files. Raises `VolumeError`."""
        raise NotImplementedError

    async def prepare(self, request: Request) -> Ready:
        """See `VolumeKind.prepare`."""
        root = self._root(request.place)
        payload = await self.payload(request)
        await self._offload(atomic.write, root, payload, fs_group(request.pod))
        return Ready(root, read_only=True)

    async def update(self, request: Request) -> None:
        """See `VolumeKind.update`."""
        await self.prepare(request)

    async def teardown(self, place: Place) -> None:
        """See `VolumeKind.teardown`: there is nothing to do."""

    def _root(self, place: Place) -> Path:
        return place.disk if self.on_disk else place.memory


class SecretVolume(Content):
    """`VolumeKind` of secret."""

    source: ClassVar[str] = "secret"
    folder: ClassVar[str] = "kubernetes.io~secret"

    def references(self, volume: Volume) -> Iterable[Reference]:
        """See `VolumeKind.references`."""
        if volume.secret is not None:
            yield Reference(Secret, volume.secret.secret_name)

    async def payload(self, request: Request) -> dict[str, File]:
        """See `Content.payload`."""
        source = request.volume.secret
        if source is None:
            raise VolumeError("it is no secret")
        return await self._reader.secret(
            request.pod, source.secret_name, source, _mode(source.default_mode)
        )


class ConfigMapVolume(Content):
    """`VolumeKind` of configMap."""

    source: ClassVar[str] = "config_map"
    folder: ClassVar[str] = "kubernetes.io~configmap"
    on_disk: ClassVar[bool] = True

    def references(self, volume: Volume) -> Iterable[Reference]:
        """See `VolumeKind.references`."""
        if volume.config_map is not None:
            yield Reference(ConfigMap, volume.config_map.name)

    async def payload(self, request: Request) -> dict[str, File]:
        """See `Content.payload`."""
        source = request.volume.config_map
        if source is None:
            raise VolumeError("it is no configMap")
        return await self._reader.config_map(
            request.pod, source.name, source, _mode(source.default_mode)
        )


class DownwardVolume(Content):
    """`VolumeKind` of downwardAPI."""

    source: ClassVar[str] = "downward_api"
    folder: ClassVar[str] = "kubernetes.io~downward-api"

    def references(self, volume: Volume) -> Iterable[Reference]:
        """See `VolumeKind.references`: made of the pod itself."""
        del volume
        return ()

    async def payload(self, request: Request) -> dict[str, File]:
        """See `Content.payload`."""
        source = request.volume.downward_api
        if source is None:
            raise VolumeError("it is no downwardAPI")
        return self._reader.downward(request.pod, source.items, _mode(source.default_mode))


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode
