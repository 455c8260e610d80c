"""The `Client` protocol. Every room right of the store talks to the API through it, and only so.

Kinds are named by their model class: `await client.get(Pod, "web", "default")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from reconciler.core.errors import ReconcilerError
from reconciler.model.meta import KubeObject
from reconciler.model.token import IssuedToken, TokenSpec

T = TypeVar("T", bound=KubeObject)

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
Propagation = Literal["Background", "Foreground", "Orphan"]


class ApiError(ReconcilerError):
    """An answer other than success: Kubernetes' `Status` with its code and reason.

    `reason` is Kubernetes' word ("NotFound", "AlreadyExists", "Conflict", "Invalid", "Forbidden",
    "Expired", ...); `details` the Status details as JSON values.
    """

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}


class NotFound(ApiError):
    """404: there is no such object."""

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(404, "NotFound", message, details)


class AlreadyExists(ApiError):
    """409: an object of that name is there."""

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(409, "AlreadyExists", message, details)


class ConflictError(ApiError):
    """409: the object changed since it was read; read again and plan again (law 7)."""

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(409, "Conflict", message, details)


class Invalid(ApiError):
    """422: the object breaks a validation rule; `details["causes"]` has each field."""

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(422, "Invalid", message, details)


class Expired(ApiError):
    """410: the resourceVersion is too old; list again."""

    def __init__(self, message: str) -> None:
        super().__init__(410, "Expired", message)


@dataclass(frozen=True, slots=True)
class ObjectList(Generic[T]):
    """A list at one resourceVersion."""

    items: tuple[T, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One change of one object; for DELETED the object's last state."""

    type: EventType
    object: T


class Client(Protocol):
    """Kubernetes' verbs on typed objects. Every failure is an `ApiError`."""

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        """Return the object; raises `NotFound`."""
        ...

    async def list(
        self, kind: type[T], namespace: str = "", *, label_selector: str = ""
    ) -> ObjectList[T]:
        """Return the objects of a kind in one namespace, or in all when it is empty."""
        ...

    def watch(
        self, kind: type[T], namespace: str = "", *, resource_version: str
    ) -> AsyncIterator[WatchEvent[T]]:
        """Yield changes after `resource_version`, in order; raises `Expired` when too old."""
        ...

    async def create(self, obj: T, *, manager: str = "") -> T:
        """Create `obj`; return it as stored. Raises `AlreadyExists`, `Invalid`, `NotFound`."""
        ...

    async def update(self, obj: T, *, subresource: str = "", manager: str = "") -> T:
        """Replace the object. Its resourceVersion must be current, or `ConflictError`.

        `subresource="status"` writes status alone; without it status is left as it is.
        An update that changes nothing writes nothing and returns the object as it is (law 3).
        """
        ...

    async def apply(
        self,
        manifest: dict[str, Any],
        *,
        manager: str,
        force: bool = False,
        admitted: KubeObject | None = None,
    ) -> Any:
        """Server-side apply: `manager` owns exactly the fields of `manifest`.

        Returns the object as stored; one that changes nothing writes nothing. `admitted` is what
        admission made of this manifest a moment ago, decoded, defaulted and found valid: it
        spares doing that once more and changes nothing else.
        """
        ...

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
        """Ask for deletion. With `uid`, only that incarnation (else `ConflictError`).

        A pod with a grace period stays, marked with deletionTimestamp, until its kubelet deletes
        it with `grace_period_seconds=0`; an object with finalizers until they are gone.
        """
        ...

    async def request_token(self, account: str, namespace: str, spec: TokenSpec) -> IssuedToken:
        """Return a token of a ServiceAccount (the `token` subresource)."""
        ...

    async def bind(self, name: str, namespace: str, node: str, *, uid: str) -> None:
        """Bind a pod to a node (the `binding` subresource); sets PodScheduled."""
        ...
