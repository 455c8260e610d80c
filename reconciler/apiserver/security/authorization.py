"""What a caller may do. Called by the REST face before each request.

Who is in `system:masters` may do everything; everybody may see whether the server is well, and who
is known may discover its API. Roles and bindings are not evaluated yet: all else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.security.identity import AUTHENTICATED, MASTERS, Identity

_PUBLIC = ("/healthz", "/livez", "/readyz", "/version")
_DISCOVERY = ("/api", "/apis", "/openapi")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a request wants to do: a verb on a resource, or on a path."""

    verb: str
    path: str
    plural: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    is_resource: bool = False


def check(user: Identity, asked: Attributes) -> None:
    """Raise `StatusError` Forbidden unless `user` may do what is asked."""
    if MASTERS in user.groups:
        return
    if asked.is_resource:
        raise _refusal(user, asked)
    if asked.verb == "get" and _may_read_path(user, asked.path):
        return
    text = f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    raise Forbidden(403, "Forbidden", text, {})


def _may_read_path(user: Identity, path: str) -> bool:
    allowed = _PUBLIC + _DISCOVERY if AUTHENTICATED in user.groups else _PUBLIC
    return any(path == root or path.startswith(f"{root}/") for root in allowed)


class Forbidden(StatusError):
    """The caller may not do this."""


def _refusal(user: Identity, asked: Attributes) -> StatusError:
    plural = f"{asked.plural}/{asked.subresource}" if asked.subresource else asked.plural
    qualified = f"{asked.plural}.{asked.group}" if asked.group else asked.plural
    subject = f'{qualified} "{asked.name}"' if asked.name else qualified
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    text = (
        f'{subject} is forbidden: User "{user.name}" cannot {asked.verb} resource "{plural}"'
        f' in API group "{asked.group}" {where}'
    )
    details = {"name": asked.name, "group": asked.group, "kind": asked.plural}
    kept = {key: value for key, value in details.items() if value}
    return Forbidden(403, "Forbidden", text, kept)
