"""Images of this host: found here, or pulled once for all who wait, with back-off.

Called by `starter.py` for containers, by `prepull.py` for revisions that have not begun. A pull
runs as a task of its own: no worker waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from reconciler.core.clock import Clock
from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.runtime import (
    ContainerRuntime,
    Credentials,
    Image,
    NoSuchImage,
    RuntimeFailure,
    RuntimeUnavailable,
)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

_FIRST, _LONGEST = 10.0, 300.0
# How long ErrImagePull is shown before it becomes ImagePullBackOff.
_SHOW_ERROR = timedelta(seconds=2)
# How often a long pull says how far it is.
_PROGRESS = 10.0
_INVALID = "invalid reference format"


class ImageNotReady(ReconcilerError):
    """The container must wait; `reason` is Kubernetes' waiting reason.

    `until` is when to ask again; None: the waiter is called when the pull ends.
    """

    def __init__(self, reason: str, message: str, until: datetime | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.until = until


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that `waiter` needs; `accounts` are tried in their order, none is anonymous.

    `tell` hears now and then how a pull goes, `ready` that it ended.
    """

    name: str
    policy: str
    waiter: Hashable
    tell: Callable[[str], None]
    ready: Callable[[], None]
    accounts: tuple[Credentials, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulled:
    """How long a pull took, and with the wait of its waiter, in seconds."""

    seconds: float
    waited: float


@dataclass(slots=True)
class _Pull:
    """A pull that runs, or the end of the last one. `fresh_for`: who has its image coming."""

    task: asyncio.Task[None] | None = None
    waiters: dict[Hashable, tuple[Wanted, float]] = field(default_factory=dict)
    image: Image | None = None
    fresh_for: dict[Hashable, Pulled] = field(default_factory=dict)
    error: str = ""
    failed_at: datetime | None = None
    delay: float = 0.0
    told: float = 0.0


class Images:
    """The images of one host."""

    def __init__(self, runtime: ContainerRuntime, clock: Clock, spawn: Spawn) -> None:
        self._runtime, self._clock, self._spawn = runtime, clock, spawn
        self._local: dict[str, Image] = {}
        self._pulls: dict[tuple[str, tuple[Credentials, ...]], _Pull] = {}

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

    def ids(self) -> dict[str, str]:
        """Return what a status says of the images that are known, by the engine's id."""
        known = {image.id: image for image in self._local.values()}
        return {
            key: f"docker-pullable://{image.digest}" if image.digest else f"docker://{image.id}"
            for key, image in known.items()
        }

    async def ensure(self, wanted: Wanted) -> tuple[Image, Pulled | None]:
        """Return the image, and how it was pulled if it was.

        Raises `ImageNotReady`.
        """
        pull = self._pulls.get((wanted.name, wanted.accounts))
        if pull is not None and wanted.waiter in pull.fresh_for and pull.image is not None:
            return pull.image, pull.fresh_for.pop(wanted.waiter)
        found = await self._inspect(wanted.name)
        if found is not None and wanted.policy != "Always":
            return found, None
        if wanted.policy == "Never":
            message = f'Container image "{wanted.name}" is not present with pull policy of Never'
            raise ImageNotReady("ErrImageNeverPull", message, self._soon(_FIRST))
        return self._wait_for(wanted)

    async def _inspect(self, name: str) -> Image | None:
        """Look the image up; a name that can be none and an engine's fault are told the user."""
        try:
            return await self.local(name)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as error:
            if _INVALID in str(error):
                words = f'Failed to apply default image tag "{name}": {error}'
                raise ImageNotReady("InvalidImageName", words, self._soon(_LONGEST)) from error
            words = f'Failed to inspect image "{name}": {error}'
            raise ImageNotReady("ImageInspectError", words, self._soon(_FIRST)) from error

    def _wait_for(self, wanted: Wanted) -> tuple[Image, Pulled | None]:
        pull = self._pulls.setdefault((wanted.name, wanted.accounts), _Pull())
        if pull.task is None:
            self._check_backoff(wanted.name, pull)
            pull.task = self._spawn(self._pull(wanted.name, wanted.accounts, pull))
        if wanted.waiter not in pull.waiters:
            wanted.tell(f'Pulling image "{wanted.name}"')
            pull.waiters[wanted.waiter] = (wanted, self._clock.monotonic())
        raise ImageNotReady("ContainerCreating", "")

    def _check_backoff(self, name: str, pull: _Pull) -> None:
        if pull.failed_at is None:
            return
        now = self._clock.now()
        pull.failed_at = min(pull.failed_at, now)  # the wall clock may have been set back
        until = pull.failed_at + timedelta(seconds=pull.delay)
        if now < pull.failed_at + _SHOW_ERROR:
            shown = min(until, pull.failed_at + _SHOW_ERROR)
            raise ImageNotReady("ErrImagePull", pull.error, shown)
        if now < until:
            words = f'Back-off pulling image "{name}": ErrImagePull: {pull.error}'
            raise ImageNotReady("ImagePullBackOff", words, until)

    async def _pull(self, name: str, accounts: tuple[Credentials, ...], pull: _Pull) -> None:
        began = pull.told = self._clock.monotonic()
        try:
            pull.image = await self._try(name, accounts, pull)
        except RuntimeFailure as error:
            pull.error, pull.failed_at = str(error), self._clock.now()
            pull.delay = min(max(_FIRST, 2 * pull.delay), _LONGEST)
        else:
            self._local[name] = pull.image
            pull.error, pull.failed_at, pull.delay = "", None, 0.0
            ended = self._clock.monotonic()
            pull.fresh_for |= {
                waiter: Pulled(ended - began, ended - since)
                for waiter, (_, since) in pull.waiters.items()
            }
        finally:
            pull.task = None
        waiters, pull.waiters = pull.waiters, {}
        for wanted, _ in waiters.values():
            wanted.ready()

    async def _try(self, name: str, accounts: tuple[Credentials, ...], pull: _Pull) -> Image:
        """Pull with one account after the other; the last one's failure is the pull's."""
        for account in accounts[:-1]:
            try:
                return await self._runtime.pull(name, account, self._progress(name, pull))
            except RuntimeFailure:
                continue
        last = accounts[-1] if accounts else None
        return await self._runtime.pull(name, last, self._progress(name, pull))

    def _progress(self, name: str, pull: _Pull) -> Callable[[str], None]:
        def tell(how_far: str) -> None:
            now = self._clock.monotonic()
            if now - pull.told < _PROGRESS:
                return
            pull.told = now
            for wanted, _ in pull.waiters.values():
                wanted.tell(f'Pulling image "{name}": {how_far}')

        return tell

    def _soon(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)
