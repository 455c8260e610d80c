"""The `Client` protocol on the registry in the same process: no encoding, no copies.

Built by the composition root. It adds no rule of its own: it only turns the registry's and the
store's errors into `ApiError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.client.protocol import (
    AlreadyExists,
    ApiError,
    ConflictError,
    Expired,
    Invalid,
    NotFound,
    ObjectList,
    Propagation,
    WatchEvent,
)
from reconciler.model import selector
from reconciler.model.meta import KubeObject
from reconciler.model.selector import Selector, SelectorError
from reconciler.model.token import IssuedToken, TokenSpec
from reconciler.store.protocol import Compacted

T = TypeVar("T", bound=KubeObject)

_BY_REASON = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": ConflictError,
    "Invalid": Invalid,
}


class LocalClient:
    """A `Client` whose objects are the registry's own, shared and frozen.

    Without `tokens` there are none to be had.
    """

    def __init__(self, registry: Registry, tokens: AccountTokens | None = None) -> None:
        self._registry = registry
        self._tokens = tokens

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        """Return the object; raises `NotFound`."""
        with _api_errors():
            return self._registry.get(kind, name, namespace)

    async def list(
        self, kind: type[T], namespace: str = "", *, label_selector: str = ""
    ) -> ObjectList[T]:
        """Return the objects of a kind in one namespace, or in all when it is empty."""
        chosen = _parse(label_selector)
        with _api_errors():
            items = self._registry.list(kind, namespace)
        if chosen.requirements:
            items = [item for item in items if chosen.matches(item.metadata.labels)]
        return ObjectList(tuple(items), str(self._registry.revision))

    async def watch(
        self, kind: type[T], namespace: str = "", *, resource_version: str
    ) -> AsyncIterator[WatchEvent[T]]:
        """Yield changes after `resource_version`, in order; raises `Expired` when too old."""
        registry = self._registry
        try:
            async for event in registry.watch(kind, namespace, since=int(resource_version)):
                yield WatchEvent(event.change.value, registry.decode(kind, event.record))
        except Compacted as error:
            raise Expired(str(error)) from error

    async def create(self, obj: T, *, manager: str = "") -> T:
        """Create `obj`; return it as stored."""
        with _api_errors():
            return await self._registry.create(obj, manager=manager)

    async def update(self, obj: T, *, subresource: str = "", manager: str = "") -> T:
        """Replace the object, or the `subresource` of it; see `Client.update`."""
        with _api_errors():
            return await self._registry.update(obj, subresource=subresource, manager=manager)

    async def apply(
        self,
        manifest: dict[str, Any],
        *,
        manager: str,
        force: bool = False,
        admitted: KubeObject | None = None,
    ) -> Any:
        """Server-side apply: `manager` owns exactly the fields of `manifest`."""
        with _api_errors():
            return await self._registry.apply(
                manifest, manager=manager, force=force, admitted=admitted
            )

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace_period_seconds: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Ask for deletion; see `Client.delete`."""
        options = DeleteOptions(
            uid=uid, grace_period_seconds=grace_period_seconds, propagation=propagation
        )
        with _api_errors():
            await self._registry.delete(kind, name, namespace, options)

    async def request_token(self, account: str, namespace: str, spec: TokenSpec) -> IssuedToken:
        """Return a token of a ServiceAccount; raises `ApiError`."""
        if self._tokens is None:
            raise ApiError(404, "NotFound", "this API issues no tokens of service accounts")
        with _api_errors():
            return self._tokens.issue(account, namespace, spec)

    async def bind(self, name: str, namespace: str, node: str, *, uid: str) -> None:
        """Bind a pod to a node; sets PodScheduled."""
        with _api_errors():
            await self._registry.bind(name, namespace, node, uid=uid)


def _parse(text: str) -> Selector:
    try:
        return selector.parse(text)
    except SelectorError as error:
        raise ApiError(400, "BadRequest", str(error)) from error


@contextmanager
def _api_errors() -> Iterator[None]:
    try:
        yield
    except StatusError as error:
        raise _api_error(error) from error


def _api_error(error: StatusError) -> ApiError:
    known = _BY_REASON.get(error.reason)
    if known is not None:
        return known(error.message, error.details)
    return ApiError(error.code, error.reason, error.message, error.details)
