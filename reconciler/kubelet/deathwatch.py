"""Watches the processes of pods, and tells at once that one has died.

Called by `worker.py` after each look at a pod. What it tells is a hint to the proxy (see
`client/casualties.py`); the kubelet itself believes the engine alone. By Kubernetes' rule a pod is
not ready when one of its containers does not run, so the death of any of them counts, a sidecar's
and the sandbox's too; an init container that ends, or an ephemeral one, does not. Only pods behind
a service are worth asking the engine for the process of what was just started.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

from reconciler.client.casualties import Casualties
from reconciler.client.informer import Informer
from reconciler.kubelet import roster
from reconciler.kubelet.cache import ContainerCache
from reconciler.kubelet.labels import PodContainer, PodKey
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.processes import Processes, Unwatch
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.kubelet.status import is_ready
from reconciler.model.pod import Pod
from reconciler.model.selector import from_map
from reconciler.model.service import Service

_BY_NAMESPACE = "namespace"


class _Process(NamedTuple):
    container: str
    pid: int


class DeathWatch:
    """The processes of one node's pods; without `processes` it tells of none."""

    def __init__(
        self,
        processes: Processes | None,
        casualties: Casualties,
        services: Informer[Service],
        runtime: ContainerRuntime,
        cache: ContainerCache,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        again: Callable[[PodKey], None],
    ) -> None:
        self._processes, self._casualties, self._services = processes, casualties, services
        self._runtime, self._cache, self._spawn, self._again = runtime, cache, spawn, again
        self._watched: dict[PodKey, dict[_Process, Unwatch | None]] = {}  # None: it has died
        services.add_index(_BY_NAMESPACE, lambda service: (service.metadata.namespace,))

    def keep(self, key: PodKey, pod: Pod | None, observed: Observed) -> None:
        """Watch what runs of the pod; `pod` has the status that was made from `observed`.

        A pod that is ready with all its processes alive is no casualty any more.
        """
        vital = tuple(_vital(pod, observed))
        running = [_Process(each.id, each.state.pid) for each in vital]
        watched = self._watched.setdefault(key, {})
        for gone in [each for each in watched if each not in running]:
            _end(watched.pop(gone))
        live = observed.live
        if self._processes is None or pod is None or live is None or not live.address:
            return  # an address of the host's own is other pods' too
        served = self._is_served(pod)
        for each in running:
            if each not in watched and (each.pid or served):
                watched[each] = self._watch(self._processes, key, each, live.address)
        names = {each.name for each in vital}
        whole = all(each.name in names for each in roster.main(pod))
        if whole and None not in watched.values() and is_ready(pod.status):
            self._casualties.recover(live.address)

    def forget(self, key: PodKey) -> None:
        """The pod is gone."""
        for unwatch in self._watched.pop(key, {}).values():
            _end(unwatch)

    def free(self, address: str) -> None:
        """The address is nobody's: what was known of its former pod is over."""
        self._casualties.recover(address)

    def _is_served(self, pod: Pod) -> bool:
        meta = pod.metadata
        return is_ready(pod.status) and any(
            service.spec.selector and from_map(service.spec.selector).matches(meta.labels)
            for service in self._services.by_index(_BY_NAMESPACE, meta.namespace)
        )

    def _watch(self, processes: Processes, key: PodKey, process: _Process, address: str) -> Unwatch:
        if not process.pid:
            self._spawn(self._find(key, process))
            return _nothing

        def ended() -> None:
            watched = self._watched.get(key, {})
            if process in watched:
                watched[process] = None
                self._casualties.lose(address)

        try:
            return processes.watch(process.pid, ended)
        except OSError:
            return _nothing  # the engine will tell

    async def _find(self, key: PodKey, unknown: _Process) -> None:
        """Ask the engine for the process of a container that was started without asking."""
        try:
            pid = (await self._runtime.inspect(unknown.container)).pid
        except RuntimeFailure:
            self._watched.get(key, {}).pop(unknown, None)  # the next look at the pod asks again
            return
        if self._cache.note_process(unknown.container, pid):
            self._again(key)


def _vital(pod: Pod | None, observed: Observed) -> Iterator[PodContainer]:
    """Yield the running containers without any of which the pod cannot be ready."""
    live = observed.live
    if pod is None or live is None or pod.metadata.deletion_timestamp is not None:
        return
    yield live
    initial = (each for each in roster.initial(pod) if each.is_sidecar)
    names = {each.name for each in (*initial, *roster.main(pod))}
    yield from (each for each in observed.running if each.sandbox == live.id and each.name in names)


def _end(unwatch: Unwatch | None) -> None:
    if unwatch is not None:
        unwatch()


def _nothing() -> None:
    """Nothing was watched."""
