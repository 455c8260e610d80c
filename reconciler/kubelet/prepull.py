"""Images that this node shall have before a revision is applied: ImagePull objects, followed.

Built by `kubelet.py`. It pulls as for a container (policy, accounts, back-off), writes the status
of the objects of its own node, and touches no pod. Who asks watches the status; nobody is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome, RequeueAfter
from reconciler.kubelet.images import ImageNotReady, Images, Wanted
from reconciler.kubelet.pullsecrets import credentials
from reconciler.kubelet.runtime import RuntimeFailure
from reconciler.model.config import Secret
from reconciler.model.imagepull import ImagePull, ImagePullStatus, ImageResult, WantedImage

_MANAGER = "kubelet"
_HERE = ("Present", "Pulled")
_WORKERS = 4


class Prepuller:
    """Follows the ImagePulls of the node `node_name`."""

    def __init__(
        self,
        client: Client,
        pulls: Informer[ImagePull],
        images: Images,
        clock: Clock,
        node_name: str,
    ) -> None:
        self._client, self._pulls, self._images = client, pulls, images
        self._clock, self._node_name = clock, node_name
        self._known: dict[str, tuple[str, tuple[ImageResult, ...]]] = {}
        self._controller = Controller[str]("prepull", self._reconcile, workers=_WORKERS)
        self._log = structlog.get_logger(component="kubelet")
        pulls.subscribe(self._changed)

    async def run(self) -> None:
        """Pull what is asked for until cancelled."""
        await self._pulls.synced.wait()
        await self._controller.run()

    def _changed(self, _: EventType, old: ImagePull | None, new: ImagePull | None) -> None:
        shown = new or old
        if shown is None or shown.spec.node_name != self._node_name:
            return
        if old is None or new is None or old.spec != new.spec:
            self._controller.queue.add(shown.metadata.name)

    async def _reconcile(self, name: str) -> Outcome:
        pull = self._pulls.get(name)
        if pull is None:
            self._known.pop(name, None)
            return Done()
        before, moments = self._before(pull), list[datetime]()
        try:
            results = tuple(
                [
                    await self._one(pull, number, wanted, before.get(number), moments)
                    for number, wanted in enumerate(pull.spec.images)
                ]
            )
        except (RuntimeFailure, ApiError) as error:
            raise Retryable(str(error)) from error
        self._known[name] = (_state_of(pull), results)
        await self._tell(pull, results)
        if not moments:
            return Done()
        return RequeueAfter(max(0.0, (min(moments) - self._clock.now()).total_seconds()) + 0.001)

    def _before(self, pull: ImagePull) -> Mapping[int, ImageResult]:
        """Return what is known of this very spec, by this process or by the one before."""
        state, results = self._known.get(pull.metadata.name, ("", ()))
        if state != _state_of(pull):
            told = pull.status.observed_generation == pull.metadata.generation
            results = pull.status.images if told else ()
        return dict(enumerate(results))

    async def _one(
        self,
        pull: ImagePull,
        number: int,
        wanted: WantedImage,
        before: ImageResult | None,
        moments: list[datetime],
    ) -> ImageResult:
        """Return how it stands with one image; a failed one stays so until it is there."""
        if before is not None and before.state in _HERE:
            return before
        name = pull.metadata.name
        asked = Wanted(
            wanted.image,
            wanted.pull_policy,
            (pull.metadata.uid, pull.metadata.generation, number),
            tell=partial(self._say, pull),
            ready=partial(self._controller.queue.add, name),
            accounts=credentials(wanted.image, await self._secrets(wanted)),
        )
        try:
            _, pulled = await self._images.ensure(asked)
        except ImageNotReady as error:
            if error.until is not None:
                moments.append(error.until)
            if error.reason != "ContainerCreating":
                return ImageResult(
                    image=wanted.image, state="Failed", reason=error.reason, message=error.message
                )
            return before or ImageResult(image=wanted.image)
        if pulled is None:
            return ImageResult(image=wanted.image, state="Present")
        self._log.info("image.pulled", name=wanted.image, seconds=round(pulled.seconds, 3))
        seconds = round(pulled.seconds, 3)
        return ImageResult(image=wanted.image, state="Pulled", duration_seconds=seconds)

    def _say(self, pull: ImagePull, message: str) -> None:
        self._log.info("image.pulling", revision=pull.spec.revision, reason=message)

    async def _secrets(self, wanted: WantedImage) -> list[Secret]:
        """Return the pull secrets that are there; what is missing, the pull then tells."""
        found = []
        for each in wanted.pull_secrets:
            try:
                found.append(await self._client.get(Secret, each.name, each.namespace))
            except NotFound:
                continue
        return found

    async def _tell(self, pull: ImagePull, results: tuple[ImageResult, ...]) -> None:
        status = ImagePullStatus(observed_generation=pull.metadata.generation, images=results)
        if status == pull.status:
            return
        try:
            await self._client.update(
                pull.replace(status=status), subresource="status", manager=_MANAGER
            )
        except NotFound:
            return  # nobody waits for it any more
        except ApiError as error:
            raise Retryable(f"status of {pull.key}: {error.message}") from error


def _state_of(pull: ImagePull) -> str:
    return f"{pull.metadata.uid}/{pull.metadata.generation}"
