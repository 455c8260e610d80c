"""All volumes of one node's pods: asks each kind to make ready, update and let go.

Called by the starter and the worker; one pod is worked on at a time. Which objects a pod's
volumes are made of, and whether one of them changed since they were written, is kept here: in
memory only, as after a restart every content is compared anew.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping

from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.volumes.protocol import (
    Ready,
    Reference,
    Request,
    VolumeError,
    VolumeKind,
    VolumePending,
)
from reconciler.model.pod import Pod
from reconciler.model.volume import Volume

_NO_KIND = (
    "a Docker host has no drivers of its type, but volume plugins, which claims and settings name"
)
_NO_IMAGE = "the engine cannot mount an image as a volume"


class Volumes:
    """The volumes below the folders of `files`, by the kinds of volume that there are."""

    def __init__(self, files: PodFiles, kinds: Iterable[VolumeKind]) -> None:
        self._files = files
        self._by_source = {kind.source: kind for kind in kinds}
        self._by_folder = {kind.folder: kind for kind in self._by_source.values()}
        self._current: set[str] = set()
        self._ready: dict[str, Mapping[str, Ready]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def references(self, pod: Pod) -> frozenset[Reference]:
        """Return the objects that the pod's volumes are made of."""
        return frozenset(
            reference
            for volume in pod.spec.volumes
            for kind in self._kinds(volume)
            for reference in kind.references(volume)
        )

    def outdated(self, pod: Pod) -> bool:
        """Tell whether the pod's volumes may differ from what they are made of."""
        return bool(pod.spec.volumes) and pod.metadata.uid not in self._current

    def changed(self, uid: str) -> None:
        """Something that the pod's volumes are made of changed."""
        self._current.discard(uid)

    def suspect(self, uid: str) -> None:
        """A container could not start: something may have happened to the pod's volumes."""
        self._ready.pop(uid, None)

    def doubt(self) -> None:
        """Let all volumes be compared again: the remedy for whatever was missed."""
        self._current.clear()
        self._ready.clear()

    async def prepare(self, pod: Pod) -> Mapping[str, Ready]:
        """Make ready every volume of the pod; returns them by name. Raises `VolumeError`.

        What was made ready and is up to date is not made again: Kubernetes too mounts before the
        first container only.
        """
        uid = pod.metadata.uid
        if uid not in self._current or uid not in self._ready:
            self._ready[uid] = await self._each(pod, update=False)
        return self._ready[uid]

    async def update(self, pod: Pod) -> None:
        """Bring the contents up to date. Raises `VolumeError`."""
        await self._each(pod, update=True)

    async def _each(self, pod: Pod, *, update: bool) -> Mapping[str, Ready]:
        uid = pod.metadata.uid
        async with self._locks[uid]:
            self._current.add(uid)  # before anything is read: a change from now on counts
            try:
                return {v.name: await self._one(pod, v, update=update) for v in pod.spec.volumes}
            except VolumeError:
                self._current.discard(uid)
                raise

    async def _one(self, pod: Pod, volume: Volume, *, update: bool) -> Ready:
        kind = next(iter(self._kinds(volume)), None)
        if kind is None:
            why = _NO_KIND if volume.image is None else _NO_IMAGE
            raise VolumeError(_failed(volume, why))
        request = Request(pod, volume, self._files.place(pod.metadata.uid, kind, volume.name))
        try:
            if update:
                await kind.update(request)
                return Ready()
            return await kind.prepare(request)
        except VolumePending:
            raise
        except (VolumeError, OSError) as error:
            raise VolumeError(_failed(volume, error)) from error

    def _kinds(self, volume: Volume) -> Iterable[VolumeKind]:
        held = volume.__dict__
        return (kind for source, kind in self._by_source.items() if held[source] is not None)

    async def teardown(self, uid: str, *, volumes_only: bool = False) -> None:
        """Let go of every volume of a pod and remove its folders: all of them, or the volumes'.

        Raises `VolumeError` and `OSError`; doing it again goes on.
        """
        async with self._locks[uid]:
            for folder, place in self._files.places(uid):
                kind = self._by_folder.get(folder)
                if kind is not None:
                    await kind.teardown(place)
            await (self._files.remove_volumes if volumes_only else self._files.remove)(uid)
            self._current.discard(uid)
            self._ready.pop(uid, None)
        self._locks.pop(uid, None)


def _failed(volume: Volume, why: object) -> str:
    """Return Kubernetes' words."""
    return f'MountVolume.SetUp failed for volume "{volume.name}" : {why}'
