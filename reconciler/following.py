"""The GitOps half of the daemon: a loop for each source. Composed here for `controlplane.py`.

It decides nothing: from a Source object and the settings it builds the adapter that reads the
source, the loader and the loop, which meet in `sync`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog

from reconciler.client.events import ComponentRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import Client
from reconciler.core.clock import Clock
from reconciler.core.tasks import Part
from reconciler.desired.age import AgeKeys
from reconciler.desired.asked import Asked, Spot
from reconciler.desired.load import Loader
from reconciler.desired.objects import Desired, DesiredObject
from reconciler.model.affinity import selects
from reconciler.model.gitops import Source
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.streaming import NodeStreams
from reconciler.settings import Settings, SettingsError
from reconciler.source.access import Access
from reconciler.source.pushed import push_of, source_in
from reconciler.source.receiver import Receiver
from reconciler.source.snapshot import Snapshot
from reconciler.source.still import nothing_left
from reconciler.source.webhook import Doorkeeper
from reconciler.sync.allocation import ServiceRanges
from reconciler.sync.inputs import variables_of, with_secrets
from reconciler.sync.live import Live
from reconciler.sync.loop import Sync
from reconciler.sync.refusal import Locate
from reconciler.sync.sources import Shape, Sources
from reconciler.sync.steering import Care, SyncOptions
from reconciler.watched import Watched, forget, forget_unused, open_watched

_THREADS = 16
"""Git processes at a time, of all sources together."""


class Following:
    """All sources of the daemon.

    `given` opens another place than the one that `settings.source` names, told the revision that
    was taken from it last.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        clock: Clock,
        informers: Mapping[type[KubeObject], Informer[Any]],
        recorder: ComponentRecorder,
        given: Callable[[str], Watched] | None = None,
        streams: NodeStreams | None = None,
    ) -> None:
        self._streams = streams
        self._recorder = recorder
        self._settings = settings
        self._client = client
        self._clock = clock
        self._named = settings.named_sources
        self._given = given
        self._live = Live(informers.values())
        self._log = structlog.get_logger(component="source")
        self._threads: Executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="git")
        forget_unused(settings.state_dir, self._threads)
        declared = {name: each.spec for name, each in self._named.items()}
        sources: Informer[Source] = informers[Source]
        self.sources = Sources(
            client,
            self._live,
            sources,
            self._start,
            declared,
            on_ended=partial(forget, settings.state_dir),
        )

    def parts(self) -> dict[str, Part]:
        """Return the loops by name."""
        return {
            "sync": self.sources.run,
            **webhooks(self._settings, self._look, self._clock, self.sources.loops),
        }

    def declared(self, key: ObjectKey, live: KubeObject | None) -> str:
        """Return what who wrote an object is told of Git; "" when it has no say."""
        loops = self.sources.loops
        names = (name for name in self._live.declarations.of(key) if name in loops)
        return next((told for name in names if (told := loops[name].declared(key, live))), "")

    def _care(self, name: str) -> Care:
        own = self._named.get(name) or self._settings
        return Care(
            own.on_failure,
            own.prune_threshold,
            own.prune_keep_seconds,
            self._settings.progress_deadline_seconds,
        )

    def _start(self, name: str, shape: Shape) -> Sync:
        watched = self._open(name, shape)
        loader = Loader(
            namespace=shape.spec.home,
            memory=watched.declared,
            keys=AgeKeys(self._settings.age_key_file),
        )

        async def load(snapshot: Snapshot) -> Desired:
            variables = variables_of(shape.spec, self._live.objects)
            return await asyncio.to_thread(loader.load, snapshot, variables)

        async def locate(revision: str, wanted: DesiredObject, field: str) -> Spot:
            asked = Asked(partial(loader.text, revision))
            return await asyncio.to_thread(asked.spot, wanted, field)

        return Sync(
            watched.source,
            load,
            self._client,
            self._clock,
            self._live,
            options=self._options(name, shape, locate),
            memory=watched.clean,
        )

    def _options(self, name: str, shape: Shape, locate: Locate) -> SyncOptions:
        settings = self._settings
        return SyncOptions(
            name=name,
            spec=shape.spec,
            care=self._care(name),
            takes=selects,
            recorder=self._recorder,
            streams=self._streams,
            bounds=shape.bounds,
            access=shape.access,
            ending=shape.ending,
            ranges=ServiceRanges.of(
                settings.service_cidr,
                (settings.node_port_min, settings.node_port_max),
                settings.cluster_dns,
            ),
            look=self.sources.look,
            locate=locate,
        )

    def _open(self, name: str, shape: Shape) -> Watched:
        if shape.ending:
            return Watched(nothing_left(self._clock))
        if self._given is not None and name == self._settings.source_name:
            return self._given(self._last_revision(name))
        named = self._named.get(name)
        access = named.access if named is not None else Access(own=False)
        access = with_secrets(access, shape.spec, self._live.objects, self._settings.run_dir)
        return open_watched(
            self._settings,
            name,
            shape.spec,
            access,
            self._clock,
            self._threads,
            self._last_revision(name),
        )

    def _last_revision(self, name: str) -> str:
        """Return the revision that the source was at before a restart, "" when it is another now.

        It was taken from the place that the Source names only when that did not change since.
        """
        source = self._live.source(name)
        if source is None or source.status.observed_generation != source.metadata.generation:
            return ""
        return source.status.observed_revision

    def _look(self, target: str, body: bytes) -> None:
        """Let the sources look that a webhook is about."""
        loops = self.sources.loops
        push = push_of(target, body, loops)
        names = push.concerned(loops, lambda loop: loop.source.spec.location)
        if not names:
            self._log.info("webhook.unmatched", repositories=sorted(push.repositories))
        self.sources.look(names)


def webhooks(
    settings: Settings,
    look: Callable[[str, bytes], None],
    clock: Clock,
    loops: Container[str] = (),
) -> dict[str, Part]:
    """Return the receiver of webhooks, when the settings want one."""
    listen, file = settings.webhook_listen, settings.webhook_secret_file
    if listen is None or file is None:
        return {}
    host, _, port = listen.rpartition(":")
    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"webhook_secret_file: {error}") from error
    if not secret:
        raise SettingsError(f"webhook_secret_file: {file} is empty")
    place = partial(source_in, sources=loops)
    receiver = Receiver(host.strip("[]"), int(port), Doorkeeper(secret), look, clock, place=place)
    return {"webhooks": receiver.run}
