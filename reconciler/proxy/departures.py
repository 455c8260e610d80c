"""Forgets connections that lead to a pod which will not answer them.

Run by the composition root beside `loop.py`; it looks at pods, not at services, because only a
pod's address decides. Two moments:

A pod leaves its services (it ends, or is not ready any more). A client whose first packet was
lost goes on asking the pod that the kernel had drawn for it. Its flow is forgotten once the rules
have let go of the pod, so that its next try, a second after the first, meets another backend.

A pod is gone, perhaps while the daemon was down. With its sandbox dead it answers nobody, not even
with a reset, and connection tracking would lead its clients to that address until they give up,
and later ones that come from the same port. Once the flow is forgotten the next packet of a client
meets the rules anew: another backend, which knows nothing of the connection, or the rule for
services without one. Either resets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL
from reconciler.proxy.adapters import Flows

_BY_ADDRESS = "departures-address"


class _Departure(NamedTuple):
    """What happened to the pod that had an address."""

    address: str
    gone: bool


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited before flows are forgotten, in seconds.

    `left` is for the rules to let go of a pod that left its services, less than the second after
    which TCP asks again. `lost` is for the containers of a pod that lost its sandbox, or whose
    object was removed by force: they are still ending, and the kernel's word to their clients
    must be translated.
    """

    left: float = 0.3
    lost: float = 2.0


class Departures:
    """One node's clean-up after pods, whose addresses are those of `network`."""

    def __init__(
        self,
        pods: Informer[Pod],
        flows: Callable[[], Flows],
        network: IPv4Network,
        *,
        patience: Patience | None = None,
    ) -> None:
        self._pods, self._open, self._network = pods, flows, network
        self._patience = patience or Patience()
        self._due: asyncio.Queue[_Departure] = asyncio.Queue()
        self._ending: set[str] = set()  # by uid: those that a deletion gave time to end
        self._log = structlog.get_logger(component="proxy")
        pods.add_index(_BY_ADDRESS, _addresses)

    async def run(self) -> None:
        """Forget until cancelled."""
        self._pods.subscribe(self._on_pod)
        await self._pods.synced.wait()
        with closing(self._open()) as flows, ThreadPoolExecutor(1, "departures") as worker:
            await self._find_leftovers(flows, worker)
            while True:
                departure = await self._due.get()
                if not self._answers_again(departure):
                    await self._forget(flows, worker, departure)

    def _answers_again(self, departure: _Departure) -> bool:
        """Tell whether somebody answers at the address by now: another pod, or the same again.

        A pod that is updated in place is back in its services within the patience, and what has
        not been answered yet may be a connection that is being made to it.
        """
        pods = self._pods.by_index(_BY_ADDRESS, departure.address)
        return bool(pods) if departure.gone else any(_served(pod) for pod in pods)

    async def _find_leftovers(self, flows: Flows, worker: ThreadPoolExecutor) -> None:
        """Find the connections to pods that went while nobody looked."""
        try:
            known = await asyncio.get_running_loop().run_in_executor(worker, flows.backends)
        except OSError as error:
            self._log.warning("proxy.flows_kept", reason=str(error))
            return
        known -= {str(self._network[1])}  # the bridge's own
        for address in sorted(known):
            if IPv4Address(address) in self._network:
                self._due.put_nowait(_Departure(address, gone=True))

    async def _forget(
        self, flows: Flows, worker: ThreadPoolExecutor, departure: _Departure
    ) -> None:
        address, gone = departure

        def forget() -> int:
            return flows.forget_backend(address, unanswered=not gone)

        try:
            count = await asyncio.get_running_loop().run_in_executor(worker, forget)
        except OSError as error:
            self._log.warning("proxy.flows_kept", reason=str(error))
            return
        if count:
            reason = "the pod is gone" if gone else "the pod left before it answered"
            self._log.info("proxy.flows_ended", address=address, count=count, reason=reason)

    def _on_pod(self, _type: EventType, old: Pod | None, new: Pod | None) -> None:
        for address in _served(old).difference(_served(new)):
            self._later(self._patience.left, _Departure(address, gone=False))
        wait = 0.0 if self._in_order(old, new) else self._patience.lost
        for address in _addresses(old).difference(_addresses(new)):
            self._later(wait, _Departure(address, gone=True))

    def _in_order(self, old: Pod | None, new: Pod | None) -> bool:
        """Tell whether a pod that gives up its address has ended all that answered there."""
        if new is not None:
            if new.metadata.deletion_timestamp is not None:
                self._ending.add(new.metadata.uid)
            return new.status.phase in TERMINAL
        ended = old is not None and old.metadata.uid in self._ending
        if old is not None:
            self._ending.discard(old.metadata.uid)
        return ended

    def _later(self, wait: float, departure: _Departure) -> None:
        asyncio.get_running_loop().call_later(wait, self._due.put_nowait, departure)


def _addresses(pod: Pod | None) -> set[str]:
    """Return the address that is the pod's own, as long as something of it may answer there."""
    if pod is None or pod.spec.host_network or pod.status.phase in TERMINAL:
        return set()
    return {pod.status.pod_ip} if pod.status.pod_ip else set()


def _served(pod: Pod | None) -> set[str]:
    """Return the address at which services reach the pod."""
    if pod is None or pod.metadata.deletion_timestamp is not None:
        return set()
    ready = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions)
    return _addresses(pod) if ready else set()
