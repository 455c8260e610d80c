"""The composition root: builds every part of the daemon and runs them until told to stop.

The control plane is composed in `controlplane.py`, what acts on this host in `host.py`; besides the
command line only these know all rooms. They decide nothing: parts get their dependencies here and
meet only through the API objects.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Callable
from contextlib import ExitStack

import structlog
import uvloop

from reconciler import host, rundir
from reconciler.apiserver.http.podlistener import PodAccess
from reconciler.apiserver.http.server import ApiServer, ApiSettings
from reconciler.controllers.apiservice.loop import ApiServiceController
from reconciler.controllers.apiservice.plan import ApiAddress
from reconciler.controlplane import ControlPlane, Informers
from reconciler.core import descriptors, gc, log
from reconciler.core.clock import Clock, SystemClock
from reconciler.core.errors import ReconcilerError
from reconciler.core.ids import Ids
from reconciler.core.lean import give_back
from reconciler.core.ownership import FileOwnership, NamespaceOwnership
from reconciler.core.tasks import Part, leaves, supervise
from reconciler.credentials import open_credentials
from reconciler.kubelet.options import Informers as KubeletInformers
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.gitops import ProxyState
from reconciler.model.imagepull import ImagePull
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.service import Endpoints, Service
from reconciler.model.storage import PersistentVolume
from reconciler.model.streaming import NodeStreams
from reconciler.settings import OWNERSHIP, Settings
from reconciler.store.sealing import make_keys, open_keys
from reconciler.store.sqlite import open_store

FAILED = 1


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
