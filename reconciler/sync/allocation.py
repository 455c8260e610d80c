"""Whether services can have the addresses and ports that they name. Pure.

Called by the planner, so that a revision which the registry would refuse in part is refused whole
(law 2), in the registry's words and with who has what is wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple, Self

from reconciler.admission.errors import invalid
from reconciler.desired.objects import DesiredObject
from reconciler.model.address import parse_ip
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.retirement import is_retired
from reconciler.model.service import Service
from reconciler.sync.actions import Action, Adopt, Apply, Create, Origin, Prune, Retire
from reconciler.sync.refusal import Refusal

Value = IPv4Address | int
"""A cluster address, or a node port; of each the cluster gives out only one."""


@dataclass(frozen=True, slots=True)
class ServiceRanges:
    """What services are given from: `node_ports` first and last; nobody gets what is `reserved`."""

    addresses: IPv4Network
    node_ports: tuple[int, int]
    reserved: frozenset[IPv4Address] = frozenset()

    @classmethod
    def of(cls, service_cidr: str, node_ports: tuple[int, int], dns: str) -> Self:
        """Return the ranges of a cluster; the API and the DNS have addresses of their own."""
        network = IPv4Network(service_cidr)
        return cls(network, node_ports, frozenset((network[1], IPv4Address(dns))))


class _Named(NamedTuple):
    path: str
    value: Value


class _Holder(NamedTuple):
    """Who has a value: first who has it now, then in the order of the source."""

    only_declared: bool
    origin: Origin
    key: ObjectKey


def unavailable(
    actions: Collection[Action],
    desired: Mapping[ObjectKey, DesiredObject],
    live: Mapping[ObjectKey, KubeObject],
    owned: Collection[ObjectKey],
    ranges: ServiceRanges,
) -> Iterator[Refusal]:
    """Yield why the services that `actions` write cannot have what they name.

    `owned` are the keys of the inventory.
    """
    wanted = {a.key: a.origin for a in actions if isinstance(a, Create | Apply | Adopt)}
    named = {key: tuple(_named(desired[key].obj)) for key in wanted}
    if not any(named.values()):
        return
    gone: set[ObjectKey] = {a.key for a in actions if isinstance(a, Prune | Retire)}
    gone |= {key for key in owned if key not in desired and is_retired(live[key])}
    gone |= {key for key in _services(live) if live[key].metadata.deletion_timestamp}
    holders = _holders(desired, live, gone)
    for key, values in named.items():
        mine = {each.value for each in _named(live.get(key))}
        for path, value in values:
            if value not in mine and (why := _why(key, value, holders[value], ranges)):
                yield Refusal(key, wanted[key], path, why)


def _holders(
    desired: Mapping[ObjectKey, DesiredObject],
    live: Mapping[ObjectKey, KubeObject],
    gone: Collection[ObjectKey],
) -> dict[Value, _Holder]:
    """Return who has each value first, when all that is gone has let go of it."""
    found: dict[Value, _Holder] = {}
    for key in _services(live):
        if key not in gone:
            wanted = desired.get(key)
            stays = _staying(live[key], wanted.obj) if wanted else _named(live[key])
            for each in stays:
                found[each.value] = _Holder(False, Origin("", 0), key)
    for key, declared in desired.items():
        for each in _named(declared.obj):
            holder = _Holder(True, Origin(declared.path, declared.line), key)
            found[each.value] = min(found.get(each.value, holder), holder)
    return found


def _staying(live: KubeObject, wanted: KubeObject) -> Iterator[_Named]:
    """Yield what a service has and goes on having: its declaration names it, or leaves it open."""
    if not isinstance(live, Service) or not isinstance(wanted, Service):
        return
    spec = wanted.spec
    named = {each.value for each in _named(wanted)}
    left = {(port.protocol, port.port) for port in spec.ports if not port.node_port}
    kept = {port.node_port for port in live.spec.ports if (port.protocol, port.port) in left}
    for each in _named(live):
        is_open = not spec.cluster_ip if isinstance(each.value, IPv4Address) else each.value in kept
        if each.value in named or is_open:
            yield each


def _services(live: Mapping[ObjectKey, KubeObject]) -> Iterable[ObjectKey]:
    return (key for key, obj in live.items() if isinstance(obj, Service))


def _named(obj: KubeObject | None) -> Iterator[_Named]:
    """Yield the values that a service names, or has, with the fields that do."""
    if not isinstance(obj, Service):
        return
    spec = obj.spec
    address = parse_ip(spec.cluster_ip)
    if isinstance(address, IPv4Address):
        yield _Named("spec.clusterIP", address)
    for index, port in enumerate(spec.ports):
        if port.node_port:
            yield _Named(f"spec.ports[{index}].nodePort", port.node_port)
    if spec.health_check_node_port:
        yield _Named("spec.healthCheckNodePort", spec.health_check_node_port)


def _why(key: ObjectKey, value: Value, holder: _Holder, ranges: ServiceRanges) -> str:
    """Return the registry's words for a value that cannot be had; empty when it can."""
    words = _out_of_range(value, ranges)
    if not words and holder.key != key:
        words = f"provided {_what(value)} is already allocated"
    if not words:
        return ""
    if isinstance(value, IPv4Address):
        words = f"failed to allocate IP {value}: {words}"
    taken = f" (by Service {holder.key.namespace}/{holder.key.name})" if holder.key != key else ""
    shown = value if isinstance(value, int) else (str(value),)
    return f"{invalid('', shown, words).message}{taken}"


def _out_of_range(value: Value, ranges: ServiceRanges) -> str:
    if isinstance(value, IPv4Address):
        if value in ranges.reserved:
            return "provided IP is already allocated"
        net = ranges.addresses
        if value in net and value not in (net.network_address, net.broadcast_address):
            return ""
        return (
            f"the provided IP ({value}) is not in the valid range. The range of valid IPs is {net}"
        )
    first, last = ranges.node_ports
    if first <= value <= last:
        return ""
    return f"provided port is not in the valid range. The range of valid ports is {first}-{last}"


def _what(value: Value) -> str:
    return "IP" if isinstance(value, IPv4Address) else "port"
