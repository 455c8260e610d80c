"""ResourceQuotas on the real registry: counted, refused when exhausted, given back by deletion."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.client.protocol import ApiError
from reconciler.controllers.quota.loop import QuotaController
from reconciler.controllers.quota.plan import plan
from reconciler.model.account import ResourceQuota, ResourceQuotaSpec, ResourceQuotaStatus
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.container import Container, ResourceRequirements
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.service import Service, ServicePort, ServiceSpec
from tests.unit.controllers.test_namespace import run
from tests.unit.controllers.world import World

KINDS = (Pod, Secret, ConfigMap, Service, ResourceQuota)


def make_quota(hard: dict[str, str], *scopes: str) -> ResourceQuota:
    meta = ObjectMeta(name="q", namespace="default")
    return ResourceQuota(metadata=meta, spec=ResourceQuotaSpec(hard=hard, scopes=scopes))


def make_pod(name: str, phase: str = "", **requests: str) -> Pod:
    resources = ResourceRequirements(requests=requests)
    spec = PodSpec(containers=(Container(name="c", image="i", resources=resources),))
    pod = Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=spec)
    return pod.replace(status=pod.status.replace(phase=phase))


def test_the_plan_counts_by_the_quotas_own_names() -> None:
    quota = make_quota({"pods": "5", "requests.cpu": "2", "count/secrets": "1"})
    pods = [make_pod("a", cpu="500m"), make_pod("b", cpu="1500m"), make_pod("c", "Succeeded")]
    status = plan(quota, pods)
    assert status == ResourceQuotaStatus(
        hard=quota.spec.hard, used={"pods": "2", "requests.cpu": "2", "count/secrets": "0"}
    )
    assert plan(quota.replace(status=status), pods) is None


def test_the_plan_leaves_equal_amounts_in_other_words() -> None:
    quota = make_quota({"requests.memory": "1Gi"})
    told = ResourceQuotaStatus(hard=quota.spec.hard, used={"requests.memory": "1073741824"})
    assert plan(quota.replace(status=told), [make_pod("a", memory="1Gi")]) is None


@pytest.mark.parametrize(
    ("scope", "counted"),
    [("BestEffort", "0"), ("NotTerminating", "1"), ("Terminating", "0"), ("PriorityClass", "0")],
)
def test_scopes_take_in_some_pods(scope: str, counted: str) -> None:
    pod = make_pod("a", cpu="1")
    pod = pod.replace(status=pod.status.replace(qos_class="Burstable"))
    status = plan(make_quota({"pods": "5"}, scope), [pod])
    assert status is not None
    assert status.used == {"pods": counted}


def begin(world: World) -> None:
    informers: Any = {kind: world.informer(kind) for kind in KINDS}
    world.start(QuotaController(world.client, informers).run)


def used(world: World) -> dict[str, str]:
    return world.registry.get(ResourceQuota, "q", "default").status.used


def test_what_is_exhausted_is_refused_until_something_goes(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        begin(world)
        await world.client.create(make_pod("before"))
        await world.client.create(make_quota({"pods": "2"}))
        await world.until(lambda: used(world) == {"pods": "1"}, 5)
        await world.client.create(make_pod("second"))
        assert used(world) == {"pods": "2"}  # by the write itself
        with pytest.raises(ApiError, match="exceeded quota: q, requested: pods=1, used: pods=2"):
            await world.client.create(make_pod("third"))
        await world.client.delete(Pod, "before", "default")
        await world.until(lambda: used(world) == {"pods": "1"}, 5)
        await world.client.create(make_pod("third"))

    run(virtual, clock, scenario)


def test_a_quota_that_is_raised_lets_more_in(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        begin(world)
        await world.client.create(make_quota({"pods": "0"}))
        await world.until(lambda: used(world) == {"pods": "0"}, 5)
        with pytest.raises(ApiError, match="exceeded quota"):
            await world.client.create(make_pod("a"))
        quota = world.registry.get(ResourceQuota, "q", "default")
        await world.client.update(quota.replace(spec=ResourceQuotaSpec(hard={"pods": "1"})))
        await world.until(lambda: _hard(world) == {"pods": "1"}, 5)
        await world.client.create(make_pod("a"))

    run(virtual, clock, scenario)


def _hard(world: World) -> dict[str, str]:
    return world.registry.get(ResourceQuota, "q", "default").status.hard


def test_an_update_may_need_more(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        begin(world)
        await world.client.create(make_quota({"services.nodeports": "0"}))
        await world.until(lambda: used(world) == {"services.nodeports": "0"}, 5)
        meta = ObjectMeta(name="s", namespace="default")
        spec = ServiceSpec(ports=(ServicePort(port=80),), selector={"a": "b"})
        made = await world.client.create(Service(metadata=meta, spec=spec))
        with pytest.raises(ApiError, match=r"requested: services\.nodeports=1"):
            await world.client.update(made.replace(spec=made.spec.replace(type="NodePort")))
        labelled = made.metadata.replace(labels={"x": "y"})
        await world.client.update(made.replace(metadata=labelled))

    run(virtual, clock, scenario)


def test_a_refused_write_counts_for_nothing(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        begin(world)
        await world.client.create(make_quota({"pods": "5"}))
        await world.until(lambda: used(world) == {"pods": "0"}, 5)
        await world.client.create(make_pod("a"))
        with pytest.raises(ApiError, match="already exists"):
            await world.client.create(make_pod("a"))
        await world.settle(5)
        assert used(world) == {"pods": "1"}

    run(virtual, clock, scenario)
