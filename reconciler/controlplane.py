"""The control plane: store, registry, controllers, scheduler and sync, on one set of informers.

Composed here for `app.py`, its caller. It needs no Docker host and decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network
from typing import Any

from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.client.protocol import Client
from reconciler.client.retention import EventRetention
from reconciler.controllers.aggregation.loop import AggregationController
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
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.core.tasks import Part
from reconciler.credentials import Credentials
from reconciler.following import Following
from reconciler.model import kinds
from reconciler.model.account import ServiceAccount
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.event import Event
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.gitops import ProxyState, Revision, Source
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
from reconciler.settings import Settings
from reconciler.store.protocol import Store
from reconciler.telling import Telling
from reconciler.watched import Watched


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


def load_balancer_ranges(settings: Settings) -> Ranges:
    """Return from where load balancers get addresses, and where they may have none."""
    own = (settings.service_cidr, settings.pod_cidr)
    return Ranges(parse_pool(settings.load_balancer_pool), tuple(map(IPv4Network, own)))


def _followed_kinds() -> list[type[KubeObject]]:
    return [each.model for each in kinds.RESOURCES if each.model not in _UNFOLLOWED]
