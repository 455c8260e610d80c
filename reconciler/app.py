"""The composition root: builds every part of the daemon and runs them until told to stop.

The only module besides the command line that knows all rooms. It decides nothing: parts get
their dependencies here and meet only through the API objects.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from ipaddress import IPv4Network
from typing import Any

import structlog
import uvloop

from reconciler import host, rundir
from reconciler.apiserver.http.podlistener import PodAccess
from reconciler.apiserver.http.server import ApiServer, ApiSettings
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.client.protocol import Client
from reconciler.client.retention import EventRetention
from reconciler.controllers.aggregation.loop import AggregationController
from reconciler.controllers.apiservice.loop import ApiServiceController
from reconciler.controllers.apiservice.plan import ApiAddress
from reconciler.controllers.endpoints.loop import EndpointsController
from reconciler.controllers.endpointslice.loop import EndpointSliceController
from reconciler.controllers.endpointslicemirroring.loop import EndpointSliceMirroring
from reconciler.controllers.garbage.loop import GarbageCollector
from reconciler.controllers.loadbalancer.loop import LoadBalancerController
from reconciler.controllers.loadbalancer.plan import Ranges
from reconciler.controllers.loadbalancer.pool import parse_pool
from reconciler.controllers.namespace.loop import NamespaceController
from reconciler.controllers.nodelifecycle.loop import NodeLifecycle
from reconciler.controllers.quota.loop import QuotaController
from reconciler.controllers.replication.loop import ReplicationLoop
from reconciler.controllers.volumes.binder import Informers as VolumeInformers
from reconciler.controllers.volumes.binder import VolumeBinder
from reconciler.controllers.volumes.ephemeral import EphemeralVolumes
from reconciler.controllers.volumes.protection import VolumeProtection
from reconciler.core import descriptors, gc, log
from reconciler.core.clock import Clock, SystemClock
from reconciler.core.errors import ReconcilerError
from reconciler.core.ids import Ids
from reconciler.core.lean import give_back
from reconciler.core.ownership import FileOwnership, NamespaceOwnership
from reconciler.core.tasks import Part, leaves, supervise
from reconciler.credentials import Credentials, open_credentials
from reconciler.following import Following
from reconciler.kubelet.options import Informers as KubeletInformers
from reconciler.model import kinds
from reconciler.model.account import ServiceAccount
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.event import Event
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.gitops import ProxyState, Revision, Source
from reconciler.model.imagepull import ImagePull
from reconciler.model.lease import Lease
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.rbac import ClusterRole
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Endpoints, Service
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import StorageClass
from reconciler.model.streaming import NodeStreams
from reconciler.scheduler.loop import Scheduler
from reconciler.scheduler.storage import Storage
from reconciler.settings import OWNERSHIP, Settings
from reconciler.store.protocol import Store
from reconciler.store.sealing import make_keys, open_keys
from reconciler.store.sqlite import open_store
from reconciler.telling import Telling
from reconciler.watched import Watched

FAILED = 1


class Informers:
    """One informer a kind, shared by all parts; made when first asked for."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._made: dict[type[KubeObject], Informer[Any]] = {}

    def __getitem__(self, kind: type[KubeObject]) -> Informer[Any]:
        if kind not in self._made:
            self._made[kind] = Informer(self._client, kind)
        return self._made[kind]

    def of(self, wanted: Iterable[type[KubeObject]]) -> dict[type[KubeObject], Informer[Any]]:
        """Return the informers of several kinds."""
        return {kind: self[kind] for kind in wanted}

    async def run(self) -> None:
        """Follow every kind that somebody asked for, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._made.values():
                group.create_task(informer.run())


# Nobody reconciles by these kinds' objects, and their number is large.
_UNFOLLOWED = (Event, EventV1, ProxyState)


class ControlPlane:
    """Store, registry, controllers, scheduler and sync: all that needs no Docker host.

    What reaches outside the process is opened here from the settings, unless it is given. Without
    `credentials` pods get no ServiceAccounts; without `streams` nobody reads a failed pod's log.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        ids: Ids,
        *,
        face: Callable[[Registry], Client] | None = None,
        watched: Callable[[str], Watched] | None = None,
        credentials: Credentials | None = None,
        streams: NodeStreams | None = None,
    ) -> None:
        self.registry = Registry(
            store,
            clock,
            ids,
            registry_settings(settings, service_accounts=credentials is not None),
        )
        self._credentials = credentials
        self.tokens = credentials.tokens(self.registry, clock, ids) if credentials else None
        self.client = face(self.registry) if face else LocalClient(self.registry, self.tokens)
        self.informers = Informers(self.client)
        self.events = EventRecorder(self.client, clock, ids)
        self._settings = settings
        speaker = self.events.speaker("sync")
        self.following = Following(
            settings,
            self.client,
            clock,
            self.informers.of(_followed_kinds()),
            speaker,
            watched,
            streams=streams,
        )
        self.telling = Telling(settings, self.informers[Revision], self.informers[Source], speaker)
        self._clock = clock
        self._ranges = load_balancer_ranges(settings)

    def parts(self) -> dict[str, Part]:
        """Return the loops by name; the informers come last, when all have subscribed."""
        return {
            **self._replication(),
            **self._services(),
            **self._housekeeping(),
            **self._placement(),
            "events": self.events.run,
            "retention": EventRetention(self.client, self._clock).run,
            **self._volumes(),
            **self._service_accounts(),
            **self.following.parts(),
            **self.telling.parts(),
            "informers": self.informers.run,
        }

    def trigger(self) -> None:
        """Look at every source now."""
        self.following.sources.trigger()

    def _replication(self) -> dict[str, Part]:
        loop = ReplicationLoop(
            self.client,
            self.informers[ReplicationController],
            self.informers[Pod],
            self.events,
            self._clock,
            claims=self.informers[PersistentVolumeClaim],
            defaults=self._settings.rollout,
        )
        return {"replication": loop.run}

    def _services(self) -> dict[str, Part]:
        client, informers, clock = self.client, self.informers, self._clock
        services, pods, slices = informers[Service], informers[Pod], informers[EndpointSlice]
        return {
            # first to hear of a pod: the proxy reads slices
            "endpointslice": EndpointSliceController(
                client, services, pods, slices, informers[Node], clock
            ).run,
            "endpoints": EndpointsController(client, services, pods, informers[Endpoints]).run,
            "endpointslicemirroring": EndpointSliceMirroring(
                client, services, informers[Endpoints], slices, self.events, clock
            ).run,
            "loadbalancer": LoadBalancerController(client, services, self.events, self._ranges).run,
        }

    def _housekeeping(self) -> dict[str, Part]:
        client, informers = self.client, self.informers
        namespaces, pods = informers[Namespace], informers[Pod]
        return {
            "namespace": NamespaceController(client, namespaces, pods, self._clock).run,
            "garbage": GarbageCollector(client, informers.of(_followed_kinds())).run,
            "aggregation": AggregationController(client, informers[ClusterRole]).run,
            "quota": QuotaController(client, informers.of(_followed_kinds())).run,
        }

    def _placement(self) -> dict[str, Part]:
        client, informers, events, clock = self.client, self.informers, self.events, self._clock
        pods, nodes = informers[Pod], informers[Node]
        return {
            "nodelifecycle": NodeLifecycle(
                client, nodes, informers[Lease], pods, events, clock
            ).run,
            "scheduler": Scheduler(
                client,
                pods,
                nodes,
                events,
                clock,
                storage=_storage(informers),
                namespaces=informers[Namespace],
            ).run,
        }

    def _volumes(self) -> dict[str, Part]:
        client, informers, events = self.client, self.informers, self.events
        claims, volumes = informers[PersistentVolumeClaim], informers[PersistentVolume]
        pods = informers[Pod]
        on = VolumeInformers(claims, volumes, informers[StorageClass], informers[Node])
        return {
            "volumes": VolumeBinder(client, on, events).run,
            "volumeprotection": VolumeProtection(client, claims, volumes, pods).run,
            "ephemeral": EphemeralVolumes(client, pods, claims, events).run,
        }

    def _service_accounts(self) -> dict[str, Part]:
        if self._credentials is None:
            return {}
        return self._credentials.parts(
            self.client,
            self.informers[Namespace],
            self.informers[ServiceAccount],
            self.informers[ConfigMap],
            self.informers[Secret],
            self._clock,
        )


def _storage(informers: Informers) -> Storage:
    return Storage(
        informers[PersistentVolumeClaim], informers[PersistentVolume], informers[StorageClass]
    )


def registry_settings(settings: Settings, *, service_accounts: bool) -> RegistrySettings:
    """Return which addresses and ports the registry gives away, and whether pods get accounts."""
    return RegistrySettings(
        service_cidr=settings.service_cidr,
        reserved_ips=(settings.cluster_dns,),
        node_ports=(settings.node_port_min, settings.node_port_max),
        service_accounts=service_accounts,
    )


def api_settings(settings: Settings) -> ApiSettings:
    """Return where the API listens, and the names by which pods may reach it."""
    first = ipaddress.IPv4Network(settings.service_cidr)[1]
    service = f"kubernetes.default.svc.{settings.cluster_domain}"
    return ApiSettings(
        listen=settings.listen,
        unix_socket=settings.api_socket,
        pki=settings.pki_dir,
        names=(service, str(first)),
        audit=settings.audit,
        pods=PodAccess(host.network_plan(settings).gateway, settings.pod_cidr),
    )


def _api_service(settings: Settings, plane: ControlPlane, api: ApiServer) -> Part:
    """Return the loop that keeps the service by which pods reach the API."""
    cluster_ip = str(ipaddress.IPv4Network(settings.service_cidr)[1])

    async def address() -> ApiAddress:
        return ApiAddress(cluster_ip, *await api.pod_address())

    informers = plane.informers
    kept = informers[Service], informers[Endpoints], informers[EndpointSlice]
    return ApiServiceController(plane.client, *kept, address).run


def load_balancer_ranges(settings: Settings) -> Ranges:
    """Return from where load balancers get addresses, and where they may have none."""
    own = (settings.service_cidr, settings.pod_cidr)
    return Ranges(parse_pool(settings.load_balancer_pool), tuple(map(IPv4Network, own)))


def _followed_kinds() -> list[type[KubeObject]]:
    return [each.model for each in kinds.RESOURCES if each.model not in _UNFOLLOWED]


def main(settings: Settings) -> int:
    """Run the daemon until SIGTERM or SIGINT; return its exit code.

    SIGHUP makes it look at its source at once. Raises `AlreadyOwned`, `RunDirError`.
    """
    log.configure(settings.log_level)
    gc.tune()
    descriptors.allow_many()
    with ExitStack() as stack:
        _own(settings, stack)
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return uvloop.run(_serve(settings))


def _own(settings: Settings, stack: ExitStack) -> None:
    """Own this host's network and its Docker engine while `stack` lives.

    The lock of the engine lies in the run directory, so that is put in memory in between.
    """
    description = f"state in {settings.state_dir.resolve()}"
    stack.callback(NamespaceOwnership(OWNERSHIP, description).close)
    rundir.prepare(settings.run_dir)
    if settings.docker_socket.exists():
        owned = FileOwnership(settings.docker_socket, settings.run_dir / "locks", description)
        stack.callback(owned.close)


async def _serve(settings: Settings) -> int:
    logger = structlog.get_logger(component="daemon")
    clock, ids = SystemClock(), Ids()
    if settings.store_key_file is None:
        make_keys(settings.store_keys)
    store = await open_store(settings.store_path, keys=open_keys(settings.store_keys))
    try:
        credentials = open_credentials(settings, clock)
        streams = host.streams(settings)
        plane = ControlPlane(settings, store, clock, ids, credentials=credentials, streams=streams)
        await plane.registry.start()
        parts = {
            "store": store.run,
            **_api_parts(settings, plane, clock, streams),
            "heap": give_back,
            **_host_parts(settings, plane, clock),
            **plane.parts(),
        }
        sources = [each.source for each in settings.named_sources.values()]
        logger.info("daemon.started", sources=sources, node=settings.node_name)
        await supervise(parts, _stop_on_signals(plane.trigger))
    except ExceptionGroup as group:
        known, unknown = group.split(ReconcilerError)
        for error in leaves(known):
            logger.critical("daemon.failed", reason=str(error))
        if unknown is not None:
            raise unknown from None
        return FAILED
    finally:
        await store.close()
    logger.info("daemon.stopped")
    return 0


def _api_parts(
    settings: Settings, plane: ControlPlane, clock: Clock, streams: NodeStreams
) -> dict[str, Part]:
    api = ApiServer(
        plane.registry,
        clock,
        api_settings(settings),
        streams,
        plane.following.declared,
        plane.telling.durations.text,
        plane.tokens,
    )
    return {"api": api.run, "apiservice": _api_service(settings, plane, api)}


def _host_parts(settings: Settings, plane: ControlPlane, clock: Clock) -> dict[str, Part]:
    informers = kubelet_informers(plane.informers)
    recorder = plane.events.speaker("kubelet", settings.node_name)
    on = host.adapters(settings)
    return {
        **host.firewall(),
        **host.proxy(settings, plane.client, informers, on, plane.informers[Node]),
        **host.names(settings, informers),
        **host.kubelet(settings, plane.client, informers, recorder, clock, on),
    }


def kubelet_informers(informers: Informers) -> KubeletInformers:
    """Return those that a host's parts read."""
    return KubeletInformers(
        informers[Pod],
        informers[Service],
        informers[EndpointSlice],
        informers[ProxyState],
        informers.of((ConfigMap, Secret, PersistentVolumeClaim)),
        informers[PersistentVolume],
        informers[ImagePull],
        informers[Node],
    )


def _stop_on_signals(trigger: Callable[[], None]) -> asyncio.Event:
    """Return what SIGTERM and SIGINT set; SIGHUP calls `trigger`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, trigger)
    return stop
