"""The kubelet: keeps the pods of one node as their objects say. Built by the composition root.

A pod's key goes into the queue when its object changes, when the engine says that something
happened to its containers, when a probe's verdict changes, and after each relist. What is then
to be done is decided from the state alone (`worker.py`, `plan.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import closing
from typing import Any

import structlog

from reconciler.client.casualties import Casualties
from reconciler.client.informer import Informer
from reconciler.client.protocol import Client, EventType
from reconciler.core.clock import Clock
from reconciler.core.queue import Controller
from reconciler.kubelet import sandboximage
from reconciler.kubelet.addresses import AddressPool
from reconciler.kubelet.admitting import Admission
from reconciler.kubelet.cache import ContainerCache
from reconciler.kubelet.cgroups import Cgroups
from reconciler.kubelet.deathwatch import DeathWatch
from reconciler.kubelet.eviction import Evictor
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.hooks import Hooks
from reconciler.kubelet.images import Images
from reconciler.kubelet.labels import MANAGED, POD_UID, PodKey
from reconciler.kubelet.letgo import LetGo
from reconciler.kubelet.lookup import Lookup
from reconciler.kubelet.narration import Narrator, Recorder
from reconciler.kubelet.newcomers import Newcomers
from reconciler.kubelet.options import Informers, KubeletOptions, host_of
from reconciler.kubelet.podadmit import HostRules
from reconciler.kubelet.podnetwork import NetworkFailure, PodNetwork
from reconciler.kubelet.podspec import pod_key
from reconciler.kubelet.preparing import Preparer
from reconciler.kubelet.prepull import Prepuller
from reconciler.kubelet.prober import Prober
from reconciler.kubelet.processes import Processes
from reconciler.kubelet.reporter import Reporter
from reconciler.kubelet.runtime import (
    ContainerRuntime,
    Happened,
    NoSuchImage,
    RuntimeFailure,
)
from reconciler.kubelet.starter import Starter
from reconciler.kubelet.sweep import Sweep
from reconciler.kubelet.tokens import AccountTokens
from reconciler.kubelet.volumes.engine import EngineVolumes
from reconciler.kubelet.volumes.feed import VolumeFeed
from reconciler.kubelet.volumes.kinds import kinds
from reconciler.kubelet.volumes.storage import storage_kinds
from reconciler.kubelet.volumes.volumes import Volumes
from reconciler.kubelet.wire import Wire
from reconciler.kubelet.worker import PodWorker
from reconciler.model.pod import Pod

_RETRY = 2.0


class Kubelet:
    """The pods of one node."""

    def __init__(  # noqa: PLR0913 - what it acts on and tells
        self,
        *,
        client: Client,
        informers: Informers,
        runtime: ContainerRuntime,
        network: PodNetwork,
        files: PodFiles,
        recorder: Recorder,
        clock: Clock,
        options: KubeletOptions,
        processes: Processes | None = None,
        casualties: Casualties | None = None,
    ) -> None:
        self._informers, self._runtime, self._network = informers, runtime, network
        self._files, self._clock, self._options = files, clock, options
        self._log = structlog.get_logger(component="kubelet")
        self._label = f"{MANAGED}={options.scope}"
        self._group: asyncio.TaskGroup | None = None
        self._listed = asyncio.Event()
        self._strays: tuple[str, ...] = ()
        self._cache = ContainerCache(clock.now)
        self._deaths = self._make_deaths(processes, casualties)
        narrator = Narrator(recorder)
        self._images = Images(runtime, clock, self._spawn)
        self._volumes = self._make_volumes(client)
        self._newcomers = Newcomers(Cgroups(), options.huge_pages)
        self._starter = self._make_starter(client, narrator)
        self._wire = Wire()
        self._prober = Prober(
            runtime, clock, self._spawn, self._again, narrator.unhealthy, self._wire
        )
        self._admission = Admission(informers.pods, informers.nodes, options.node_name)
        self._worker = self._make_worker(client, narrator)
        self._controller = Controller[PodKey](
            "kubelet", self._worker.reconcile, workers=options.parallel
        )
        self._feed = VolumeFeed(
            self._volumes, informers.pods, informers.objects, options.node_name, self._retry
        )
        pulls = informers.image_pulls
        self._prepuller = pulls and Prepuller(client, pulls, self._images, clock, options.node_name)
        self._evictor = self._make_evictor(client, recorder)

    def _make_deaths(
        self, processes: Processes | None, casualties: Casualties | None
    ) -> DeathWatch:
        return DeathWatch(
            processes,
            Casualties() if casualties is None else casualties,
            self._informers.services,
            self._runtime,
            self._cache,
            self._spawn,
            self._again,
        )

    def _make_sweep(self) -> Sweep:
        return Sweep(
            self._runtime,
            self._network,
            self._files,
            self._volumes,
            self._cache,
            self._starter,
            self._newcomers,
        )

    def _make_evictor(self, client: Client, recorder: Recorder) -> Evictor:
        return Evictor(
            client,
            self._files,
            self._runtime,
            self._cache,
            recorder,
            self._clock,
            self._own_pods,
            self._retry,
            interval=self._options.eviction_interval,
        )

    def _make_volumes(self, client: Client) -> Volumes:
        options, offload = self._options, self._files.offload
        engine = EngineVolumes(
            offload, self._runtime, client, options.volume_drivers, options.scope
        )
        own = kinds(
            offload,
            client,
            AccountTokens(client, self._clock),
            host_of(options).allocatable or {},
            options.git,
            self._spawn,
            self._retry,
        )
        return Volumes(self._files, (*own, *storage_kinds(offload, client, engine)))

    def _make_starter(self, client: Client, narrator: Narrator) -> Starter:
        options, host = self._options, host_of(self._options)
        lookup = Lookup(
            client,
            self._informers.services,
            host.ip,
            host.allocatable or {},
            narrator.no_pull_secrets,
        )
        preparer = Preparer(
            lookup,
            self._runtime,
            self._files,
            self._cache,
            host.ip,
            options.scope,
            options.seccomp_profiles,
            narrator.variables_skipped,
        )
        return Starter(
            lookup=lookup,
            preparer=preparer,
            runtime=self._runtime,
            network=self._network,
            addresses=AddressPool(options.pod_cidr),
            files=self._files,
            volumes=self._volumes,
            images=self._images,
            cache=self._cache,
            clock=self._clock,
            host=host,
            newcomers=self._newcomers,
            listener=narrator,
            image_ready=self._image_ready,
        )

    def _make_worker(self, client: Client, narrator: Narrator) -> PodWorker:
        informers, options = self._informers, self._options
        return PodWorker(
            client=client,
            pods=informers.pods,
            admission=self._admission,
            runtime=self._runtime,
            cache=self._cache,
            volumes=self._volumes,
            images=self._images,
            starter=self._starter,
            prober=self._prober,
            reporter=self._make_reporter(client, narrator),
            hooks=Hooks(self._runtime, self._spawn, self._again, narrator.hook_failed, self._wire),
            let_go=LetGo(informers.slices, informers.proxies, self._leave),
            deaths=self._deaths,
            narrator=narrator,
            clock=self._clock,
            node_name=options.node_name,
            host_ip=options.host_ip,
            let_go_timeout=options.let_go_timeout,
        )

    def _make_reporter(self, client: Client, narrator: Narrator) -> Reporter:
        return Reporter(
            client=client,
            files=self._files,
            prober=self._prober,
            images=self._images,
            runtime=self._runtime,
            narrator=narrator,
            clock=self._clock,
            host_ip=self._options.host_ip,
            newcomers=self._newcomers,
        )

    async def run(self) -> None:
        """Keep this node's pods until cancelled. Running pods outlive the call."""
        await self._prepare()
        for informer in self._all_informers():
            await informer.synced.wait()
        with closing(self._wire):
            await self._run()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._follow_engine())
            await self._listed.wait()
            await self._make_sweep().run(tuple(self._own_pods()), self._strays)
            self._feed.start()
            self._informers.pods.subscribe(self._pod_changed)
            group.create_task(self._relist_regularly())
            group.create_task(self._evictor.run())
            group.create_task(self._controller.run())
            if self._prepuller is not None:
                group.create_task(self._prepuller.run())

    def _all_informers(self) -> Iterable[Informer[Any]]:
        informers = self._informers
        shared = (informers.pods, informers.services, informers.slices, informers.proxies)
        nodes = () if informers.nodes is None else (informers.nodes,)
        return (*shared, *nodes, *informers.objects.values())

    async def _prepare(self) -> None:
        """Make the host ready for pods; while it is not, say why and try again."""
        for reason in self._options.limits.shortfalls:
            self._log.warning("kubelet.host_limited", reason=reason)
        while True:
            try:
                self._files.prepare()
                await self._network.ensure()
                await self._ensure_sandbox_image()
                engine = await self._runtime.version()
                unsafe = self._options.unsafe_sysctls
                self._admission.rules = HostRules(engine.security, unsafe)
            except (RuntimeFailure, NetworkFailure, OSError) as error:
                self._log.warning("kubelet.not_ready", reason=str(error))
                await asyncio.sleep(_RETRY)
            else:
                return

    async def _ensure_sandbox_image(self) -> None:
        name = sandboximage.image_name()
        try:
            await self._runtime.image(name)
        except NoSuchImage:
            await self._runtime.import_image(name, sandboximage.root_tar())

    async def _follow_engine(self) -> None:
        """Turn what happens in the engine into keys; list anew where something may be lost."""
        async for event in self._runtime.events(self._label):
            if event.what == "resync":
                await self._relist_surely()
            elif event.what == "image":
                self._images.forget()
            else:
                self._container_changed(event)

    def _container_changed(self, event: Happened) -> None:
        key = self._cache.take(event)
        if key is not None:
            self._log.info(
                f"container.{event.what}",
                kind="Pod",
                namespace=key.namespace,
                name=key.name,
                container=event.labels.get("name", event.id[:12]),
                exit_code=event.exit_code,
            )
            self._again(key)

    async def _relist_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._options.relist)
            await self._relist()

    async def _relist_surely(self) -> None:
        while True:
            if await self._relist():
                return
            await asyncio.sleep(_RETRY)

    async def _relist(self) -> bool:
        """Compare everything with the engine's own word, and look at every pod.

        False when the engine or the network did not answer: what is known stays as it is.
        """
        known = self._cache.ids()
        try:
            found = await self._runtime.list(self._label)
            await self._network.ensure()
            self._starter.links = set(await self._network.links())
            await self._ensure_sandbox_image()
        except (RuntimeFailure, NetworkFailure) as error:
            self._log.warning("kubelet.relist_failed", reason=str(error))
            return False
        self._strays = tuple(state.id for state in found if POD_UID not in state.labels)
        self._cache.compare((state for state in found if POD_UID in state.labels), known)
        for key in self._cache.pods():
            for container in self._cache.of(key):
                if container.is_sandbox:
                    self._starter.adopt(container)
        self._images.forget()
        self._volumes.doubt()
        self._listed.set()
        for key in sorted(self._cache.pods() | {pod_key(pod) for pod in self._own_pods()}):
            self._again(key)
        return True

    def _own_pods(self) -> Iterable[Pod]:
        node = self._options.node_name
        return (pod for pod in self._informers.pods.items() if pod.spec.node_name == node)

    def _pod_changed(self, _kind: EventType, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is not None and pod.spec.node_name == self._options.node_name:
                self._again(pod_key(pod))

    def _again(self, key: PodKey) -> None:
        self._controller.queue.add(key)

    def _leave(self) -> None:
        for key in self._worker.leaving():
            self._again(key)

    def _image_ready(self, key: PodKey) -> None:
        self._worker.unhold(key)
        self._again(key)

    def _retry(self, pod: Pod) -> None:
        self._image_ready(pod_key(pod))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that lives no longer than the kubelet, and whose fault stays its own."""
        if self._group is None:
            work.close()
            raise RuntimeError("the kubelet does not run")
        return self._group.create_task(self._guard(work))

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # noqa: BLE001 - the boundary of a background task
            self._log.exception("kubelet.task_failed")
