"""The control plane without Docker, served over TLS: what tests of clients talk to."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Self

import uvloop

from reconciler.apiserver.http.server import ApiServer, ApiSettings
from reconciler.apiserver.registry.registry import Registry
from reconciler.cli.kubeconfig import kubeconfig
from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.controllers.garbage.loop import GarbageCollector
from reconciler.controllers.namespace.loop import NamespaceController
from reconciler.controllers.replication.loop import ReplicationLoop
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.credentials import open_credentials
from reconciler.model import kinds
from reconciler.model.account import ServiceAccount
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.settings import Settings
from reconciler.store.memory import MemoryStore

CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"app": "web"},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "busybox:1"}]},
        },
    },
}


class Cluster:
    """The control plane on a thread of its own, so that kubectl may block this one."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self.config: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(30), "the API did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        clock = SystemClock()
        registry = Registry(MemoryStore(), clock, Ids())
        await registry.start()
        settings = Settings(state_dir=self._state)
        credentials = open_credentials(settings, clock)
        server = ApiServer(
            registry,
            clock,
            ApiSettings("127.0.0.1:0", self._state / "api.sock", settings.pki_dir),
            accounts=credentials.tokens(registry, clock, Ids()),
        )
        client = LocalClient(registry)
        informers = {each.model: Informer(client, each.model) for each in kinds.RESOURCES}
        events = EventRecorder(client, clock, Ids())
        holders = (Namespace, ServiceAccount, ConfigMap, Secret)
        accounts = credentials.parts(client, *(informers[kind] for kind in holders), clock)
        parts = [
            server.run,
            ReplicationLoop(
                client, informers[ReplicationController], informers[Pod], events, clock
            ).run,
            NamespaceController(client, informers[Namespace], informers[Pod], clock).run,
            GarbageCollector(client, informers).run,
            *accounts.values(),
            *(informer.run for informer in informers.values()),
        ]
        tasks = [self._loop.create_task(part()) for part in parts]
        waiting = [self._loop.create_task(self._announce(server)), *tasks]
        await asyncio.wait(
            [self._loop.create_task(self._stop.wait()), *tasks], return_when="FIRST_COMPLETED"
        )
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _announce(self, server: ApiServer) -> None:
        await server.ready.wait()
        self.config = kubeconfig(Settings(state_dir=self._state, listen=server.address))
        self._started.set()
