"""Images of containers: found here, or pulled once for all who wait, with back-off.

Called by `worker.py`. A pull runs as a task of its own: no worker waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from reconciler.core.clock import Clock
from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.labels import PodKey
from reconciler.kubelet.runtime import (
    ContainerRuntime,
    Image,
    NoSuchImage,
    RuntimeFailure,
    RuntimeUnavailable,
)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

_FIRST, _LONGEST = 10.0, 300.0
# How long ErrImagePull is shown before it becomes ImagePullBackOff.
_SHOW_ERROR = timedelta(seconds=2)


class ImageNotReady(ReconcilerError):
    """The container must wait; `reason` is Kubernetes' waiting reason.

    `until` is when to ask again; None: the waiter is called when the pull ends.
    """

    def __init__(self, reason: str, message: str, until: datetime | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.until = until


@dataclass(slots=True)
class _Pull:
    """A pull that runs, or the end of the last one. `served`: waiters that had its image."""

    task: asyncio.Task[None] | None = None
    waiters: set[PodKey] = field(default_factory=set)
    image: Image | None = None
    fresh_for: set[PodKey] = field(default_factory=set)
    error: str = ""
    failed_at: datetime | None = None
    delay: float = 0.0


class Images:
    """The images of one host. `ready(pod)` is called when a pull that the pod waits for ends."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        clock: Clock,
        spawn: Spawn,
        ready: Callable[[PodKey], None],
    ) -> None:
        self._runtime, self._clock = runtime, clock
        self._spawn, self._ready = spawn, ready
        self._local: dict[str, Image] = {}
        self._pulls: dict[str, _Pull] = {}

    def forget(self) -> None:
        """Some image of this host changed: look again when asked."""
        self._local.clear()

    async def local(self, name: str) -> Image | None:
        """Return an image that is on this host."""
        if name not in self._local:
            try:
                self._local[name] = await self._runtime.image(name)
            except NoSuchImage:
                return None
        return self._local[name]

    async def ensure(self, name: str, policy: str, pod: PodKey) -> tuple[Image, bool]:
        """Return the image for a container, and whether it was pulled for it.

        Raises `ImageNotReady`. `policy` is imagePullPolicy.
        """
        pull = self._pulls.get(name)
        if pull is not None and pod in pull.fresh_for and pull.image is not None:
            pull.fresh_for.discard(pod)
            return pull.image, True
        if policy != "Always":
            image = await self.local(name)
            if image is not None:
                return image, False
        if policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            raise ImageNotReady("ErrImageNeverPull", message, self._soon(_FIRST))
        return self._wait_for(name, pod)

    def _wait_for(self, name: str, pod: PodKey) -> tuple[Image, bool]:
        pull = self._pulls.setdefault(name, _Pull())
        if pull.task is None:
            self._check_backoff(name, pull)
            pull.task = self._spawn(self._pull(name, pull))
        pull.waiters.add(pod)
        raise ImageNotReady("ContainerCreating", "")

    def _check_backoff(self, name: str, pull: _Pull) -> None:
        if pull.failed_at is None:
            return
        now = self._clock.now()
        until = pull.failed_at + timedelta(seconds=pull.delay)
        if now < pull.failed_at + _SHOW_ERROR:
            shown = min(until, pull.failed_at + _SHOW_ERROR)
            raise ImageNotReady("ErrImagePull", pull.error, shown)
        if now < until:
            raise ImageNotReady("ImagePullBackOff", f'Back-off pulling image "{name}"', until)

    async def _pull(self, name: str, pull: _Pull) -> None:
        try:
            pull.image = await self._runtime.pull(name)
        except (RuntimeFailure, RuntimeUnavailable) as error:
            pull.error, pull.failed_at = str(error), self._clock.now()
            pull.delay = min(max(_FIRST, 2 * pull.delay), _LONGEST)
        else:
            self._local[name] = pull.image
            pull.error, pull.failed_at, pull.delay = "", None, 0.0
            pull.fresh_for |= pull.waiters
        finally:
            pull.task = None
        waiters, pull.waiters = pull.waiters, set()
        for pod in sorted(waiters):
            self._ready(pod)

    def _soon(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)
