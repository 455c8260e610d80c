"""projected: the files of several sources in one volume: Kubernetes' projected plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from reconciler.kubelet.volumes.atomic import File
from reconciler.kubelet.volumes.content import Content
from reconciler.kubelet.volumes.payloads import DEFAULT_MODE, Reader
from reconciler.kubelet.volumes.protocol import Offload, Reference, Request, VolumeError
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.pod import Pod
from reconciler.model.volume import ServiceAccountTokenProjection, Volume, VolumeProjection


class Tokens(Protocol):
    """Makes the tokens of service accounts."""

    async def token(self, pod: Pod, wanted: ServiceAccountTokenProjection) -> bytes:
        """Return a token that is valid for a while. Raises `VolumeError`."""
        ...


class Projected(Content):
    """`VolumeKind` of projected. Without `tokens` a serviceAccountToken cannot be had."""

    source: ClassVar[str] = "projected"
    folder: ClassVar[str] = "kubernetes.io~projected"

    def __init__(self, offload: Offload, reader: Reader, tokens: Tokens | None = None) -> None:
        super().__init__(offload, reader)
        self._tokens = tokens

    def references(self, volume: Volume) -> Iterable[Reference]:
        """See `VolumeKind.references`."""
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.secret is not None:
                yield Reference(Secret, source.secret.name)
            if source.config_map is not None:
                yield Reference(ConfigMap, source.config_map.name)

    async def payload(self, request: Request) -> dict[str, File]:
        """See `Content.payload`."""
        projected = request.volume.projected
        if projected is None:
            raise VolumeError("it is no projected volume")
        mode = DEFAULT_MODE if projected.default_mode is None else projected.default_mode
        files: dict[str, File] = {}
        for source in projected.sources:
            files.update(await self._files(request.pod, source, mode))
        return files

    async def _files(self, pod: Pod, source: VolumeProjection, mode: int) -> dict[str, File]:
        if source.secret is not None:
            return await self._reader.secret(pod, source.secret.name, source.secret, mode)
        if source.config_map is not None:
            return await self._reader.config_map(
                pod, source.config_map.name, source.config_map, mode
            )
        if source.downward_api is not None:
            return self._reader.downward(pod, source.downward_api.items, mode)
        if source.service_account_token is not None and self._tokens is not None:
            wanted = source.service_account_token
            return {wanted.path: File(await self._tokens.token(pod, wanted), mode)}
        raise VolumeError("one of its sources is not supported yet")
