"""The ReplicationController loop at work on a world, with a scheduler and a kubelet that obeys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from reconciler.controllers.podstate import is_active, is_ready
from reconciler.controllers.replication.loop import ReplicationLoop
from reconciler.core.clock import Clock
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.scheduler.loop import Scheduler
from tests.unit.controllers.world import ObedientKubelet, World


class Cluster(World):
    """A world in which controllers make pods, the scheduler binds and a kubelet runs them."""

    kubelet: ObedientKubelet

    async def begin(self, lag: float = 0.0) -> None:
        self.client.lag = lag
        pods = self.informer(Pod)
        rcs = self.informer(ReplicationController)
        self.start(ReplicationLoop(self.client, rcs, pods, self.events, self.clock).run)
        scheduler = Scheduler(self.client, pods, self.informer(Node), self.events, self.clock)
        self.start(scheduler.run)
        self.kubelet = ObedientKubelet(self.client, pods, self.clock)
        self.start(self.kubelet.run)
        await self.add_node()

    def rc(self, name: str = "web") -> ReplicationController:
        return self.registry.get(ReplicationController, name, "default")

    def active(self) -> list[Pod]:
        return [pod for pod in self.pods() if is_active(pod)]

    def ready(self) -> int:
        return sum(is_ready(pod) for pod in self.active())

    def images(self) -> set[str]:
        return {pod.spec.containers[0].image for pod in self.active()}

    async def change(
        self, name: str = "web", *, replicas: int | None = None, image: str = ""
    ) -> None:
        rc = self.rc(name)
        spec = rc.spec
        if replicas is not None:
            spec = spec.replace(replicas=replicas)
        if image:
            assert spec.template is not None
            pod = spec.template.spec
            containers = (pod.containers[0].replace(image=image),)
            template = spec.template.replace(spec=pod.replace(containers=containers))
            spec = spec.replace(template=template)
        meta = rc.metadata.replace(resource_version="")
        await self.client.update(rc.replace(spec=spec, metadata=meta))


def fresh(rc: ReplicationController) -> ReplicationController:
    return rc.replace(metadata=rc.metadata.replace(uid="", generation=0))


Scenario = Callable[[Cluster], Awaitable[None]]
Run = Callable[[Scenario], None]


def runner(loop: asyncio.AbstractEventLoop, clock: Clock) -> Run:
    """Return what runs a scenario on a fresh cluster."""

    def run(scenario: Scenario) -> None:
        async def body() -> None:
            async with Cluster(clock) as world:
                await scenario(world)

        loop.run_until_complete(body())

    return run
