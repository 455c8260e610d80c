"""Pull first: no plan is followed before its images are where its pods may run.

Held by the loop, which asks before it follows a new revision. It writes ImagePull objects and the
copies of secrets that they need, reads their status from the inventory, and removes them again.
What to ask for is `pulls.py`'s; the kubelets answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.client.protocol import ApiError, Client, NotFound
from reconciler.core.errors import Retryable
from reconciler.model import kinds
from reconciler.model.config import Secret
from reconciler.model.imagepull import ImagePull
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.sync.plan import Plan, Situation
from reconciler.sync.pulls import PULLS_FOR_ANNOTATION, Progress, Takes, progress, requests

_MANAGER = "reconciler-sync"


class Pulling:
    """The requests of one source; `takes` says which nodes a pod may be bound to."""

    def __init__(
        self, client: Client, source: str, live: Mapping[ObjectKey, KubeObject], takes: Takes
    ) -> None:
        self._client = client
        self._source = source
        self._live = live
        self._takes = takes
        self._made: dict[ObjectKey, KubeObject] | None = None

    async def ask(self, record: str, plan: Plan, situation: Situation) -> Progress | None:
        """Ask for the images of `plan`; return how far they are, None when none is needed.

        Raises `Retryable` when the API takes no request.
        """
        asked = requests(plan, situation, self._source, record, self._takes)
        wanted: dict[ObjectKey, KubeObject] = {
            obj.key: obj for obj in (*asked.secrets, *asked.pulls)
        }
        try:
            await self._remove(key for key in self._known() if key not in wanted)
            for key, obj in wanted.items():
                if not _says(self._live.get(key), obj):
                    await self._client.apply(_manifest(obj), manager=_MANAGER, force=True)
                self._known()[key] = obj
        except ApiError as error:
            raise Retryable(f"asking for images: {error.message}") from error
        return progress(asked, self._live) if asked.pulls else None

    async def clear(self) -> None:
        """Withdraw all requests. Raises `Retryable`."""
        try:
            await self._remove(list(self._known()))
        except ApiError as error:
            raise Retryable(f"withdrawing requests for images: {error.message}") from error

    def _known(self) -> dict[ObjectKey, KubeObject]:
        """Return the requests that are there; those of an earlier run are found once."""
        if self._made is None:
            self._made = {
                key: obj
                for key, obj in self._live.items()
                if isinstance(obj, (ImagePull, Secret))
                and obj.metadata.annotations.get(PULLS_FOR_ANNOTATION) == self._source
            }
        return self._made

    async def _remove(self, keys: Iterable[ObjectKey]) -> None:
        known = self._known()
        for key in list(keys):
            obj = known.pop(key)
            try:
                await self._client.delete(type(obj), key.name, key.namespace)
            except NotFound:
                continue


def _says(live: KubeObject | None, wanted: KubeObject) -> bool:
    """Whether the live object is what it shall be; it may be one of an earlier run."""
    if isinstance(live, ImagePull) and isinstance(wanted, ImagePull):
        return live.spec == wanted.spec
    return isinstance(live, Secret) and isinstance(wanted, Secret) and live.data == wanted.data


def _manifest(obj: KubeObject) -> dict[str, Any]:
    body = obj.to_dict()
    body.pop("status", None)
    return {**body, "apiVersion": kinds.of_object(obj).api_version, "kind": obj.kind}
