"""The default roles and bindings at start."""

from __future__ import annotations

from reconciler.apiserver.security import bootstrap
from reconciler.apiserver.security.defaults import BINDINGS, ROLES
from reconciler.model.rbac import AUTO_UPDATE, ClusterRole, ClusterRoleBinding
from tests.unit.apiserver.security.cluster import Cluster


async def test_a_second_start_writes_nothing() -> None:
    registry = (await Cluster().start()).registry
    before = registry.revision
    await bootstrap.ensure(registry)
    assert registry.revision == before
    assert len(registry.list(ClusterRole)) == len(ROLES)
    assert len(registry.list(ClusterRoleBinding)) == len(BINDINGS)


async def test_what_a_default_lost_is_given_back_and_what_it_won_stays() -> None:
    registry = (await Cluster().start()).registry
    role = registry.get(ClusterRole, "system:discovery")
    extra = role.rules[0].replace(non_resource_urls=("/extra",))  # type: ignore[index]
    await registry.update(role.replace(rules=(extra,)))
    await bootstrap.ensure(registry)
    mended = registry.get(ClusterRole, "system:discovery").rules or ()
    assert mended[0] == extra
    assert {url for rule in mended for url in rule.non_resource_urls} >= {"/api", "/extra"}
    binding = registry.get(ClusterRoleBinding, "system:basic-user")
    await registry.update(binding.replace(subjects=()))
    await bootstrap.ensure(registry)
    assert registry.get(ClusterRoleBinding, "system:basic-user").subjects == binding.subjects


async def test_a_default_may_be_kept_as_it_is() -> None:
    registry = (await Cluster().start()).registry
    role = registry.get(ClusterRole, "system:discovery")
    meta = role.metadata.replace(annotations={AUTO_UPDATE: "false"})
    await registry.update(role.replace(rules=(), metadata=meta))
    await bootstrap.ensure(registry)
    assert not registry.get(ClusterRole, "system:discovery").rules
