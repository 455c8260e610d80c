"""Forgets what is left of connections to a pod's address when the pod is gone.

Run by the composition root beside `loop.py`. A pod that dies with its sandbox answers nobody any
more, not even with a reset; connection tracking would lead its clients to that address until they
give up, and later clients too that come from the same port. Once the flow is forgotten, the next
packet of a client meets the service's rules anew: another backend, which knows nothing of the
connection, or the rule for services without one. Either resets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.pod import Pod
from reconciler.proxy.loop import Flows

_BY_ADDRESS = "departures-address"
_TERMINAL = ("Succeeded", "Failed")


class Departures:
    """One node's clean-up after pods.

    `linger` is how many seconds the containers of a pod have whose object was removed by force:
    they may still answer.
    """

    def __init__(
        self, pods: Informer[Pod], flows: Callable[[], Flows], *, linger: float = 2.0
    ) -> None:
        self._pods, self._open, self._linger = pods, flows, linger
        self._gone: asyncio.Queue[str] = asyncio.Queue()
        self._ending: set[str] = set()  # by uid: those that a deletion gave time to end
        self._log = structlog.get_logger(component="proxy")
        pods.add_index(_BY_ADDRESS, _addresses)

    async def run(self) -> None:
        """Forget until cancelled."""
        self._pods.subscribe(self._on_pod)
        loop = asyncio.get_running_loop()
        with closing(self._open()) as flows, ThreadPoolExecutor(1, "departures") as worker:
            while True:
                address = await self._gone.get()
                if self._pods.by_index(_BY_ADDRESS, address):
                    continue  # another pod has it by now
                try:
                    count = await loop.run_in_executor(worker, flows.forget_backend, address)
                except OSError as error:
                    self._log.warning("proxy.flows_kept", reason=str(error))
                    continue
                if count:
                    self._log.info("proxy.flows_ended", address=address, count=count)

    def _on_pod(self, _type: EventType, old: Pod | None, new: Pod | None) -> None:
        wait = 0.0
        if new is not None and new.metadata.deletion_timestamp is not None:
            self._ending.add(new.metadata.uid)
        elif new is None and old is not None and old.metadata.uid not in self._ending:
            wait = self._linger
        if new is None and old is not None:
            self._ending.discard(old.metadata.uid)
        for address in set(_addresses(old)).difference(_addresses(new)):
            asyncio.get_running_loop().call_later(wait, self._gone.put_nowait, address)


def _addresses(pod: Pod | None) -> tuple[str, ...]:
    """Return the address that is the pod's own, as long as something of it may answer there."""
    if pod is None or pod.spec.host_network or pod.status.phase in _TERMINAL:
        return ()
    return (pod.status.pod_ip,) if pod.status.pod_ip else ()
