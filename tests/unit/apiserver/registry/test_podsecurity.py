"""Namespaces with a Pod Security level: pods are refused, what makes pods is warned of."""

from __future__ import annotations

import pytest

from reconciler.admission.decode import decode
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.container import EphemeralContainer, SecurityContext
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.store.memory import MemoryStore

TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"hostNetwork": True, "containers": [{"name": "c", "image": "i"}]},
}


async def registry(**labels: str) -> Registry:
    made = Registry(MemoryStore(), SystemClock(), Ids())
    await made.start()
    given = {f"pod-security.kubernetes.io/{name}": value for name, value in labels.items()}
    meta = {"name": "n", "labels": given}
    await made.create(decode({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}))
    return made


def pod() -> Pod:
    return decode(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, **_spec()}
    )


def _spec() -> dict[str, object]:
    return {"spec": TEMPLATE["spec"]}


def controller() -> ReplicationController:
    meta = {"name": "rc", "namespace": "n"}
    spec = {"replicas": 1, "selector": {"a": "b"}, "template": TEMPLATE}
    return decode(
        {"apiVersion": "v1", "kind": "ReplicationController", "metadata": meta, "spec": spec}
    )


async def test_a_pod_below_the_level_is_refused() -> None:
    held = await registry(enforce="baseline")
    with pytest.raises(StatusError) as error:
        await held.create(pod())
    assert error.value.code == 403
    assert error.value.message == (
        'pods "p" is forbidden: violates PodSecurity "baseline:latest":'
        " host namespaces (hostNetwork=true)"
    )


async def test_a_pod_is_only_warned_of_where_the_namespace_only_warns() -> None:
    held = await registry(warn="baseline")
    made = await held.create(pod())
    assert held.warnings(made) == (
        'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    )


async def test_what_makes_pods_is_taken_with_a_warning() -> None:
    held = await registry(enforce="baseline")
    made = await held.create(controller())
    assert "would violate PodSecurity" in held.warnings(made)[0]


async def test_without_labels_nothing_is_looked_at() -> None:
    held = await registry()
    made = await held.create(pod())
    assert held.warnings(made) == ()


async def test_a_pod_that_runs_gets_no_ephemeral_container_below_the_level() -> None:
    held = await registry(enforce="baseline")
    plain = pod().replace(spec=pod().spec.replace(host_network=False))
    made = await held.create(plain)
    privileged = SecurityContext(privileged=True)
    with pytest.raises(StatusError) as error:
        await held.update(_debugged(made, privileged), subresource="ephemeralcontainers")
    assert error.value.code == 403
    assert "securityContext.privileged=true" in error.value.message
    debugged = await held.update(_debugged(made, None), subresource="ephemeralcontainers")
    assert debugged.spec.ephemeral_containers


def _debugged(made: Pod, context: SecurityContext | None) -> Pod:
    added = EphemeralContainer(name="debug", image="i", security_context=context)
    return made.replace(spec=made.spec.replace(ephemeral_containers=(added,)))
