"""projected: the files of several sources in one volume: Kubernetes' projected plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Protocol

from reconciler.kubelet.volumes.atomic import File
from reconciler.kubelet.volumes.content import Content
from reconciler.kubelet.volumes.ownership import fs_group
from reconciler.kubelet.volumes.payloads import DEFAULT_MODE, Reader
from reconciler.kubelet.volumes.protocol import Offload, Reference, Request, VolumeError
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.pod import Pod
from reconciler.model.volume import ServiceAccountTokenProjection, Volume, VolumeProjection

_OWN_MODE = 0o600


class Tokens(Protocol):
    """Makes the tokens of service accounts."""

    async def token(
        self, pod: Pod, wanted: ServiceAccountTokenProjection, held: bytes | None
    ) -> bytes:
        """Return a token that is valid for a while: `held`, which is there now, or a new one.

        Raises `VolumeError`.
        """
        ...


class Projected(Content):
    """`VolumeKind` of projected."""

    source: ClassVar[str] = "projected"
    folder: ClassVar[str] = "kubernetes.io~projected"

    def __init__(self, offload: Offload, reader: Reader, tokens: Tokens) -> None:
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
            files.update(await self._files(request, source, mode))
        return files

    async def _files(
        self, request: Request, source: VolumeProjection, mode: int
    ) -> dict[str, File]:
        pod = request.pod
        if source.secret is not None:
            return await self._reader.secret(pod, source.secret.name, source.secret, mode)
        if source.config_map is not None:
            return await self._reader.config_map(
                pod, source.config_map.name, source.config_map, mode
            )
        if source.downward_api is not None:
            return self._reader.downward(pod, source.downward_api.items, mode)
        if source.service_account_token is not None:
            wanted = source.service_account_token
            held = await self._offload(_read, self._root(request.place) / wanted.path)
            token = await self._tokens.token(pod, wanted, held)
            return {wanted.path: _token_file(pod, token, mode)}
        raise VolumeError("there are no trust bundles to project")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _token_file(pod: Pod, token: bytes, mode: int) -> File:
    """Return the file of a token: for the user that all containers run as, or for the fsGroup."""
    owner = _user(pod)
    own = owner is not None or fs_group(pod) is not None
    return File(token, _OWN_MODE if own else mode, -1 if owner is None else owner)


def _user(pod: Pod) -> int | None:
    """FsUserFrom: the user of every container, None when they differ or it is not said."""
    outer = pod.spec.security_context.run_as_user if pod.spec.security_context else None
    users: set[int | None] = set()
    for each in (*pod.spec.init_containers, *pod.spec.containers):
        own = each.security_context.run_as_user if each.security_context else None
        users.add(outer if own is None else own)
    return users.pop() if len(users) == 1 else None
