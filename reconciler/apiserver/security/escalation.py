"""Nobody grants what he has not: Kubernetes' escalation check for roles and bindings.

Called by the REST face, which asks the registry to let it judge each write of these kinds. What
the daemon itself writes, Git's manifests among it, is not judged: who may push there is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.admission.errors import go_quote
from reconciler.apiserver.registry import errors
from reconciler.apiserver.security import rules
from reconciler.apiserver.security.attributes import of_resource
from reconciler.apiserver.security.authorization import Authorizer
from reconciler.apiserver.security.identity import MASTERS, Identity
from reconciler.model import kinds
from reconciler.model.meta import KubeObject
from reconciler.model.rbac import (
    GROUP,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
)

_ADMIN_ONLY = "must have cluster-admin privileges to use the aggregationRule"


@dataclass(frozen=True, slots=True)
class EscalationCheck:
    """Judges what `user` writes."""

    authorizer: Authorizer
    user: Identity

    def __call__(self, new: KubeObject, old: KubeObject | None) -> None:
        """Raise `StatusError` Forbidden for a write that grants more than its writer has."""
        if MASTERS in self.user.groups or _grants_the_same(new, old):
            return
        match new:
            case Role() | ClusterRole():
                self._role(new, old)
            case RoleBinding() | ClusterRoleBinding():
                self._binding(new)

    def _role(self, new: Role | ClusterRole, old: KubeObject | None) -> None:
        resource, meta = kinds.of_object(new), new.metadata
        asked = of_resource(
            "escalate", resource.plural, GROUP, namespace=meta.namespace, name=meta.name
        )
        if self.authorizer.decide(self.user, asked).allowed:
            return
        self._confirm(new, new.rules or ())
        if _aggregates(new) or _aggregates(old):
            held = tuple(self.authorizer.held(self.user, ""))
            if rules.missing(held, rules.FULL_AUTHORITY):
                raise errors.forbidden(resource, meta.name, _ADMIN_ONLY)

    def _binding(self, new: RoleBinding | ClusterRoleBinding) -> None:
        ref, space = new.role_ref, new.metadata.namespace
        if self._may_bind(ref, space):
            return
        given = self.authorizer.roles.rules(ref, space)
        if given is None:
            of = kinds.of(Role if ref.kind == "Role" else ClusterRole)
            raise errors.not_found(of, ref.name)
        self._confirm(new, given)

    def _may_bind(self, ref: RoleRef, namespace: str) -> bool:
        plural = "roles" if ref.kind == "Role" else "clusterroles"
        asked = of_resource("bind", plural, GROUP, namespace=namespace, name=ref.name)
        return self.authorizer.decide(self.user, asked).allowed

    def _confirm(self, new: KubeObject, given: Sequence[PolicyRule]) -> None:
        """Refuse rules that the user has not in the namespace of `new` (ConfirmNoEscalation)."""
        held = tuple(self.authorizer.held(self.user, new.metadata.namespace))
        lacking = rules.missing(held, given)
        if lacking:
            who = f"user {go_quote(self.user.name)} (groups={rules.quoted(self.user.groups)})"
            told = "\n".join(rules.described(lacking))
            text = f"{who} is attempting to grant RBAC permissions not currently held:\n{told}"
            raise errors.forbidden(kinds.of_object(new), new.metadata.name, text)


def _aggregates(role: KubeObject | None) -> bool:
    return isinstance(role, ClusterRole) and role.aggregation_rule is not None


def _grants_the_same(new: KubeObject, old: KubeObject | None) -> bool:
    """Say whether a write changes nothing but what the garbage collector does."""
    if old is None:
        return False
    meta = new.metadata.replace(
        owner_references=old.metadata.owner_references,
        finalizers=old.metadata.finalizers,
        managed_fields=old.metadata.managed_fields,
        resource_version=old.metadata.resource_version,
    )
    return new.replace(metadata=meta) == old
