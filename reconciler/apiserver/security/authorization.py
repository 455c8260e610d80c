"""What a caller may do. Called by the REST face before each request, and by access reviews.

Who is in `system:masters` may do everything. A kubelet has what its node needs; all others have
what roles and bindings give them, as Kubernetes' RBAC authorizer decides it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import rules
from reconciler.apiserver.security.attributes import Attributes
from reconciler.apiserver.security.identity import MASTERS, Identity
from reconciler.apiserver.security.nodes import NodeAuthorizer, node_of
from reconciler.apiserver.security.roles import Roles
from reconciler.model.rbac import PolicyRule


class Forbidden(StatusError):
    """The caller may not do this."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed, and what gave or what spoilt it."""

    allowed: bool
    reason: str = ""


class Authorizer:
    """Decides by the roles and bindings of a registry."""

    def __init__(self, registry: Registry) -> None:
        self.roles = Roles(registry)
        self._nodes = NodeAuthorizer(registry)

    def check(self, user: Identity, asked: Attributes) -> None:
        """Raise `Forbidden`, with Kubernetes' message, unless `user` may do what is asked."""
        if MASTERS in user.groups:
            return
        decision = self.decide(user, asked)
        if not decision.allowed:
            raise _refusal(user, asked, decision.reason)

    def decide(self, user: Identity, asked: Attributes) -> Decision:
        """Return whether `user` may do what is asked."""
        if MASTERS in user.groups:
            return Decision(allowed=True)
        node = node_of(user)
        if node and self._nodes.allows(node, asked):
            return Decision(allowed=True)
        for rule, grant in self.roles.of(user, asked.namespace):
            if rules.allows(rule, asked):
                role = f'{grant.role.kind} "{grant.role.name}"'
                told = f"RBAC: allowed by {grant.binding} of {role} to {grant.subject}"
                return Decision(True, told)
        lost = self.roles.lost(user, asked.namespace)
        return Decision(False, f"RBAC: {_aggregate(lost)}" if lost else "")

    def held(self, user: Identity, namespace: str) -> Iterator[PolicyRule]:
        """Yield every rule that `user` has in a namespace."""
        if MASTERS in user.groups:
            yield from rules.FULL_AUTHORITY
        for rule, _ in self.roles.of(user, namespace):
            yield rule


def _aggregate(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _refusal(user: Identity, asked: Attributes, reason: str) -> StatusError:
    """Return responsewriters.Forbidden."""
    tail = f": {reason}" if reason else ""
    if not asked.is_resource:
        text = f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"{tail}'
        return Forbidden(403, "Forbidden", text, {})
    plural = f"{asked.plural}/{asked.subresource}" if asked.subresource else asked.plural
    qualified = f"{asked.plural}.{asked.group}" if asked.group else asked.plural
    subject = f'{qualified} "{asked.name}"' if asked.name else qualified
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    text = (
        f'{subject} is forbidden: User "{user.name}" cannot {asked.verb} resource "{plural}"'
        f' in API group "{asked.group}" {where}{tail}'
    )
    details = {"name": asked.name, "group": asked.group, "kind": asked.plural}
    kept = {key: value for key, value in details.items() if value}
    return Forbidden(403, "Forbidden", text, kept)
