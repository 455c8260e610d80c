"""Keeps the kernel's service table as Services and EndpointSlices say. Built by `app.py`.

Changes that come together become one transaction. After each, the proxy publishes how far it is
as a ProxyState object, which lets the kubelets end a pod without losing a request. A table that
somebody else changed or flushed is mended. When the loop ends the rules stay, so that the pods
stay served while the daemon is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from reconciler.client.casualties import Casualties
from reconciler.client.informer import Informer
from reconciler.client.protocol import Client, EventType
from reconciler.core.errors import ReconcilerError
from reconciler.model.endpointslice import (
    BY_ADDRESS,
    BY_SERVICE,
    EndpointSlice,
    called_addresses,
    service_of,
)
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.node import ZONE
from reconciler.model.node import Node as NodeObject
from reconciler.model.pod import Pod
from reconciler.model.service import Service
from reconciler.proxy.adapters import Addresses, Flows, Host, Kernel
from reconciler.proxy.endpoints import without_dead
from reconciler.proxy.hostports import compile_pod, has_host_ports
from reconciler.proxy.nft import NftError
from reconciler.proxy.progress import Progress
from reconciler.proxy.rules import (
    BALANCED,
    Element,
    Node,
    balanced_addresses,
    compile_service,
)
from reconciler.proxy.ruleset import Owner, RuleSet, Transaction
from reconciler.proxy.skeleton import BRIDGE, Network

R = TypeVar("R")

_SERVICE, _POD = "Service", "Pod"
_BALANCED_OWNER = Owner("", "", "", "LoadBalancer")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the loop waits, in seconds."""

    coalesce: float = 0.001  # after a change, for its companions
    check: float = 1.0  # between two looks at whether somebody changed our rules
    check_share: float = 20.0  # full readings take at most 1/20 of the time
    retry: float = 1.0  # after the kernel refused the whole table


class Proxy:
    """One node's service proxy. `run` raises `NftUnavailable` on a host without nftables."""

    def __init__(
        self,
        client: Client,
        services: Informer[Service],
        slices: Informer[EndpointSlice],
        pods: Informer[Pod],
        node: Node,
        network: Network,
        *,
        timing: Timing | None = None,
        host: Host | None = None,
    ) -> None:
        self._services = services
        self._slices = slices
        self._pods = pods
        self._node = node
        self._network = network
        self._timing = timing or Timing()
        self._host = host or Host()
        self._rules = RuleSet()
        self._unsettled: list[Transaction] = []
        self._owners: dict[ObjectKey, Owner] = {}
        self._dirty: set[ObjectKey] = set()
        self._balanced: dict[ObjectKey, tuple[str, ...]] = {}
        self._wanted: frozenset[str] | None = None
        self._changed = asyncio.Event()
        self._urgent = False
        self._casualties = Casualties()
        self._seen = 0
        self._next_check = 0.0
        self._warned: set[str] = set()
        self._kernel: Kernel
        self._flows: Flows
        self._addresses: Addresses
        self._worker: ThreadPoolExecutor
        self._progress = Progress(client, node.name)
        self._log = structlog.get_logger(component="proxy")

    def follow_zone(self, nodes: Informer[NodeObject]) -> None:
        """Heed the zone that this node's object names; to be called before `run`."""
        nodes.subscribe(self._on_node)

    def heed(self, casualties: Casualties) -> None:
        """Take pods that lost a process for not ready; to be called before `run`."""
        self._casualties = casualties
        casualties.subscribe(self._on_casualty)

    async def run(self) -> None:
        """Program the kernel until cancelled; leave the rules in place."""
        self._services.subscribe(self._on_service)
        self._slices.add_index(BY_SERVICE, service_of)
        self._slices.add_index(BY_ADDRESS, called_addresses)
        self._slices.subscribe(self._on_slice)
        self._pods.subscribe(self._on_pod)
        for informer in (self._services, self._slices, self._pods):
            await informer.synced.wait()
        with ExitStack() as stack:
            self._open(stack)
            await self._start()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._progress.run())
                group.create_task(self._follow())

    def _open(self, stack: ExitStack) -> None:
        self._kernel = stack.enter_context(closing(self._host.kernel(self._network)))
        self._flows = stack.enter_context(closing(self._host.flows()))
        self._addresses = stack.enter_context(closing(self._host.addresses()))
        # left first, so that nothing is closed under a call that still runs
        self._worker = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="nftables"))

    async def _start(self) -> None:
        self._let_loopback_out()
        await self._program(self._replace)
        self._log.info("proxy.started", services=len(self._owners))

    async def _follow(self) -> None:
        while True:
            await self._wait()
            if self._dirty or self._changed.is_set():
                if not self._urgent:
                    await asyncio.sleep(self._timing.coalesce)
                await self._program(self._apply)
            if self._now() >= self._next_check:  # also when one change follows the other
                await self._check()

    async def _wait(self) -> None:
        timeout = max(0.0, self._next_check - self._now())
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _program(self, send: Callable[[], Awaitable[None]]) -> None:
        """Compile what changed, send it, and publish the endpoints that it came from."""
        self._changed.clear()
        self._urgent = False
        seen, dirty = self._seen, self._dirty
        self._dirty = set()
        for key in dirty:
            self._compile(key)
        held = await self._choose_addresses()
        await send()
        self._progress.reached(seen)
        await self._hold(held)

    async def _choose_addresses(self) -> frozenset[str]:
        """Let go of load balancers' addresses; return those to take, when anything changed.

        What comes is refused by the rules before the host has it, what goes is refused after.
        """
        wanted = frozenset(address for each in self._balanced.values() for address in each)
        if wanted == self._wanted:
            return frozenset()
        try:
            held = await self._blocking(self._addresses.keep_only, wanted)
        except OSError as error:
            self._warn_once("proxy.address_failed", str(error))
            return frozenset()
        self._rules.put(_BALANCED_OWNER, tuple(Element(BALANCED, each) for each in sorted(held)))
        self._wanted = wanted
        return held

    async def _hold(self, addresses: frozenset[str]) -> None:
        if not addresses:
            return
        try:
            await self._blocking(self._addresses.add, addresses)
        except OSError as error:
            self._wanted = None  # the next check tries again
            self._warn_once("proxy.address_failed", str(error))
        else:
            self._warned.discard("proxy.address_failed")

    def _compile(self, key: ObjectKey) -> None:
        former = self._owners.pop(key, None)
        self._balanced.pop(key, None)
        owner, elements = self._elements(key)
        if former and former != owner:
            self._rules.put(former, ())
        if owner:
            self._rules.put(owner, elements)
            self._owners[key] = owner

    def _elements(self, key: ObjectKey) -> tuple[Owner | None, tuple[Element, ...]]:
        _, namespace, name = key
        if key.kind == _POD:
            pod = self._pods.get(name, namespace)
            elements = compile_pod(pod, self._node) if pod else ()
            return (_owner(pod) if pod and elements else None), elements
        service = self._services.get(name, namespace)
        if service is None:
            return None, ()
        slices: Sequence[EndpointSlice]
        slices = self._slices.by_index(BY_SERVICE, f"{namespace}/{name}")
        if self._casualties and not service.spec.publish_not_ready_addresses:
            slices = without_dead(slices, self._casualties)
        if addresses := balanced_addresses(service):
            self._balanced[key] = addresses
        return _owner(service), compile_service(service, slices, self._node)

    async def _apply(self) -> None:
        transaction = self._rules.take()
        if not transaction or not await self._sent(transaction):
            return
        await self._forget(transaction)
        self._log.debug(
            "proxy.programmed",
            added=len(transaction.additions),
            deleted=len(transaction.deletions),
        )

    async def _sent(self, transaction: Transaction) -> bool:
        """Send a change; False when the kernel refused it and got the whole table instead.

        So it does when it did not tell what became of the change.
        """
        try:
            await self._blocking(self._kernel.apply, transaction)
        except (OSError, NftError) as error:
            self._log.warning("proxy.change_refused", reason=str(error))
            await self._replace()
            return False
        return True

    async def _replace(self) -> None:
        """Load the whole table; a kernel that refuses it is asked again until it takes it."""
        while True:
            everything = self._rules.everything()
            try:
                await self._blocking(self._kernel.replace, everything)
            except (OSError, NftError) as error:
                self._log.error("proxy.table_refused", reason=str(error))
                await asyncio.sleep(self._timing.retry)
            else:
                break
        self._next_check = self._now() + self._timing.check
        await self._forget(everything)

    async def _forget(self, transaction: Transaction) -> None:
        self._unsettled.append(transaction)
        await self._forget_clients((transaction,))

    async def _forget_clients(self, transactions: Sequence[Transaction]) -> None:
        """Let go of the clients that would stay with a backend that left."""
        sticky: dict[str, frozenset[str]] = {}
        pools: dict[str, frozenset[str]] = {}
        for transaction in transactions:
            sticky |= self._rules.sticky(transaction)
            pools |= self._rules.pools(transaction)
        try:
            if sticky:
                await self._blocking(self._kernel.forget_affinity, sticky)
            forgotten = await self._blocking(self._flows.forget_udp, pools) if pools else 0
        except (OSError, NftError) as error:
            self._log.warning("proxy.flows_kept", reason=str(error))
            return
        if forgotten:
            self._log.info("proxy.flows_forgotten", count=forgotten)

    async def _settle(self) -> None:
        """Take away what packets under way at the last changes were still led to, or recorded."""
        if leftovers := self._rules.leftovers():
            await self._sent(leftovers)
        unsettled, self._unsettled = self._unsettled, []
        await self._forget_clients(unsettled)

    async def _check(self) -> None:
        started = self._now()
        self._let_loopback_out()
        await self._settle()
        if self._wanted is None or self._balanced:
            self._wanted = None  # the bridge may be a new one
            await self._program(self._apply)
        try:
            disturbed = not await self._blocking(self._kernel.is_undisturbed)
            if disturbed and not await self._blocking(self._kernel.matches, self._rules.elements()):
                self._log.warning("proxy.table_mended", reason="changed by another program")
                await self._replace()
        except (OSError, ReconcilerError) as error:
            self._log.warning("proxy.check_failed", reason=str(error))
        spent = self._now() - started
        self._next_check = started + max(self._timing.check, spent * self._timing.check_share)

    def _let_loopback_out(self) -> None:
        try:
            self._host.let_loopback_out(BRIDGE)
        except OSError as error:
            self._warn_once("proxy.loopback_closed", str(error))

    def _warn_once(self, event: str, reason: str) -> None:
        if event not in self._warned:
            self._warned.add(event)
            self._log.warning(event, reason=reason)

    def _on_service(self, _type: EventType, old: Service | None, new: Service | None) -> None:
        changed = new or old
        if changed:
            self._mark(changed.key)

    def _on_slice(
        self, _type: EventType, old: EndpointSlice | None, new: EndpointSlice | None
    ) -> None:
        changed = new or old
        if changed:
            self._seen = max(self._seen, int(changed.metadata.resource_version or 0))
        for obj in (old, new):
            if obj:
                self._mark_service(obj)

    def _mark_service(self, of: EndpointSlice) -> None:
        for service in service_of(of):
            self._mark(ObjectKey(_SERVICE, *service.split("/")))

    def _on_casualty(self, address: str) -> None:
        """Compile the pod's services at once: until then its clients call a dead one."""
        self._urgent = True
        for obj in self._slices.by_index(BY_ADDRESS, address):
            self._mark_service(obj)

    def _on_pod(self, _type: EventType, old: Pod | None, new: Pod | None) -> None:
        changed = new or old
        if changed and changed.spec.node_name == self._node.name and has_host_ports(changed):
            self._mark(changed.key)

    def _on_node(self, _type: EventType, old: NodeObject | None, new: NodeObject | None) -> None:
        """Compile all services anew when this node turns out to be in another zone."""
        changed = new or old
        if changed is None or changed.metadata.name != self._node.name:
            return
        zone = new.metadata.labels.get(ZONE, "") if new else ""
        if zone != self._node.zone:
            self._node = replace(self._node, zone=zone)
            for service in self._services.items():
                self._mark(service.key)

    def _mark(self, key: ObjectKey) -> None:
        self._dirty.add(key)
        self._changed.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _blocking(self, function: Callable[..., R], *arguments: object) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, function, *arguments)


def _owner(obj: KubeObject) -> Owner:
    meta = obj.metadata
    return Owner(meta.creation_timestamp or "", meta.namespace, meta.name, obj.kind)
