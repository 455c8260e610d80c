"""gitRepo: a clone, made once for a pod before it starts, and not followed afterwards.

Kubernetes deprecated and disabled this kind for its security; docs/security/gitrepo.md has what
is done about each threat. A clone runs beside the kubelet's other work: a repository that does
not answer holds up nobody but its own pod.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar

from reconciler.kubelet.volumes import gitclone
from reconciler.kubelet.volumes.gitclone import GitLimits
from reconciler.kubelet.volumes.ownership import give_to_group
from reconciler.kubelet.volumes.protocol import (
    Fixed,
    Offload,
    Place,
    Ready,
    Request,
    VolumeError,
    VolumePending,
)
from reconciler.kubelet.volumes.removal import remove_tree
from reconciler.model.pod import Pod
from reconciler.model.volume import GitRepoVolumeSource

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
_TREE, _DONE = "tree", "done"


class GitRepo(Fixed):
    """`VolumeKind` of gitRepo. `again(pod)` is called when a clone ended, well or not."""

    source: ClassVar[str] = "git_repo"
    folder: ClassVar[str] = "kubernetes.io~git-repo"

    def __init__(
        self, offload: Offload, limits: GitLimits, spawn: Spawn, again: Callable[[Pod], None]
    ) -> None:
        self._offload, self._limits = offload, limits
        self._spawn, self._again = spawn, again
        self._clones: dict[Place, asyncio.Task[None]] = {}
        self._failures: dict[Place, Exception] = {}

    async def prepare(self, request: Request) -> Ready:
        """See `VolumeKind.prepare`; raises `VolumePending` while git works."""
        source, place = request.volume.git_repo, request.place
        if source is None:
            raise VolumeError("it is no gitRepo")
        gitclone.check(source, self._limits)
        if (place.disk / _DONE).exists():
            return Ready(place.disk / _TREE)
        failure = self._failures.pop(place, None)
        if failure is not None:
            raise failure
        if place not in self._clones:
            self._clones[place] = self._spawn(self._clone(request, source))
        raise VolumePending("git clones the repository")

    async def teardown(self, place: Place) -> None:
        """See `VolumeKind.teardown`: a clone that is still made is given up."""
        clone = self._clones.pop(place, None)
        if clone is not None:
            clone.cancel()
            await asyncio.gather(clone, return_exceptions=True)
        self._failures.pop(place, None)

    async def _clone(self, request: Request, source: GitRepoVolumeSource) -> None:
        place = request.place
        tree = place.disk / _TREE
        try:
            await self._offload(_make, tree)
            await gitclone.clone(source, tree, self._limits)
            await self._offload(give_to_group, tree, request.pod)
            await self._offload((place.disk / _DONE).touch)
        except (VolumeError, OSError) as error:
            self._failures[place] = error
        finally:
            self._clones.pop(place, None)
        self._again(request.pod)


def _make(tree: Path) -> None:
    """Begin anew: what an interrupted clone left is worth nothing."""
    remove_tree(tree)
    tree.mkdir(parents=True)
    tree.chmod(0o777)
