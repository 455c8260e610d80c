"""Services: what they are given (cluster IP, node ports, families) and what an update keeps.

The shape of the spec is settled in `for_create` and `for_update`, which are pure; `claim` then
takes from the pools what the spec needs and does not hold yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.admission.errors import FieldError, invalid
from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.allocation import Addresses, Pick, Ports, Unavailable
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.apiserver.registry.strategy import Claim, Strategy
from reconciler.model.service import Service, ServicePort, ServiceSpec

HEADLESS = "None"
_OUTWARD = ("NodePort", "LoadBalancer")


class ServiceStrategy(Strategy[Service]):
    """The rules of services; owns the pools that they are given from."""

    def __init__(self, settings: RegistrySettings, pick: Pick) -> None:
        super().__init__(Service)
        self.addresses = Addresses(settings.service_cidr, settings.reserved_ips)
        self.ports = Ports(*settings.node_ports)
        self._pick = pick

    def for_create(self, new: Service) -> Service:
        """Settle cluster IPs and address families."""
        fresh = super().for_create(new)
        return fresh.replace(spec=_with_families(_with_cluster_ips(fresh.spec, None), None))

    def for_update(self, new: Service, old: Service) -> Service:
        """Keep what was allocated and not named again; drop what the new type has no use for."""
        kept = super().for_update(new, old)
        spec = _keep_allocated(kept.spec, old.spec)
        spec = _drop_useless(_with_cluster_ips(spec, old.spec), old.spec)
        spec = _with_families(spec, old.spec)
        return kept if spec == kept.spec else kept.replace(spec=spec)

    def adopt(self, existing: Sequence[Service]) -> None:
        """Mark what the stored services have as taken. Of two that hold one value, both keep it."""
        for service in existing:
            for address in _addresses(service.spec):
                _quietly_take(self.addresses, address)
            for port in _held_ports(service.spec):
                _quietly_take(self.ports, port)

    def claim(
        self, new: Service, old: Service | None, *, dry_run: bool = False
    ) -> tuple[Service, Claim]:
        """Take what `new` needs beyond what `old` has; raises `StatusError` and takes nothing.

        A dry run asks whether a node port is free, not whether it is in the range, as Kubernetes'.
        """
        claim = _ServiceClaim(self, ranged=not dry_run, of_api=_is_api(new))
        try:
            spec = self._take(new.spec, old.spec if old else None, claim)
        except _Refused as refusal:
            claim.cancel()
            raise errors.invalid(self.resource, new.metadata.name, (refusal.fault,)) from refusal
        except Unavailable as refusal:
            claim.cancel()
            raise errors.internal(str(refusal)) from refusal
        if old is not None:
            claim.give_up(old.spec, spec)
        return (new if spec is new.spec else new.replace(spec=spec)), claim

    def release(self, gone: Service) -> None:
        """Give back what a deleted service had."""
        for address in _addresses(gone.spec):
            self.addresses.give_back(address)
        for port in _held_ports(gone.spec):
            self.ports.give_back(port)

    def _take(
        self, spec: ServiceSpec, old: ServiceSpec | None, claim: _ServiceClaim
    ) -> ServiceSpec:
        if needs_cluster_ip(spec) and not (old and needs_cluster_ip(old)):
            spec = self._take_address(spec, claim)
        spec = self._take_ports(spec, old, claim)
        return self._take_health_port(spec, old, claim)

    def _take_address(self, spec: ServiceSpec, claim: _ServiceClaim) -> ServiceSpec:
        wanted = spec.cluster_ip or (spec.cluster_ips[0] if spec.cluster_ips else "")
        try:
            if wanted:
                self.addresses.take(wanted, of_api=claim.of_api)
                claim.addresses.append(wanted)
                return spec
            address = self.addresses.take_any(self._pick)
        except Unavailable as refusal:
            values = spec.cluster_ips or (wanted,)
            raise _Refused(invalid("spec.clusterIPs", values, str(refusal))) from refusal
        claim.addresses.append(address)
        return spec.replace(cluster_ip=address, cluster_ips=(address,))

    def _take_ports(
        self, spec: ServiceSpec, old: ServiceSpec | None, claim: _ServiceClaim
    ) -> ServiceSpec:
        mine = set(_held_ports(old)) if old else set()
        ports = list(spec.ports)
        for index, port in enumerate(ports):
            if port.node_port and port.node_port not in mine:
                self._take_port(index, port.node_port, claim)
                mine.add(port.node_port)
        if needs_node_ports(spec):
            for index, port in enumerate(ports):
                if not port.node_port:
                    ports[index] = port.replace(node_port=self._any_port(ports, port, claim))
        chosen = tuple(ports)
        return spec if chosen == spec.ports else spec.replace(ports=chosen)

    def _take_port(self, index: int, port: int, claim: _ServiceClaim) -> None:
        try:
            self.ports.take(port, ranged=claim.ranged)
        except Unavailable as refusal:
            path = f"spec.ports[{index}].nodePort"
            raise _Refused(invalid(path, port, str(refusal))) from refusal
        claim.ports.append(port)

    def _any_port(
        self, ports: Sequence[ServicePort], port: ServicePort, claim: _ServiceClaim
    ) -> int:
        """Return a node port: that of the same port in another protocol, or a free one."""
        shared = next((p.node_port for p in ports if p.port == port.port and p.node_port), 0)
        if shared and not _clashes(ports, port, shared):
            return shared
        chosen = self.ports.take_any(self._pick)
        claim.ports.append(chosen)
        return chosen

    def _take_health_port(
        self, spec: ServiceSpec, old: ServiceSpec | None, claim: _ServiceClaim
    ) -> ServiceSpec:
        if not needs_health_port(spec) or (old and needs_health_port(old)):
            return spec
        wanted = spec.health_check_node_port
        if not wanted:
            chosen = self.ports.take_any(self._pick)
            claim.ports.append(chosen)
            return spec.replace(health_check_node_port=chosen)
        try:
            self.ports.take(wanted, ranged=claim.ranged)
        except Unavailable as refusal:
            text = f"failed to allocate requested HealthCheck NodePort {wanted}: {refusal}"
            raise Unavailable(text) from refusal
        claim.ports.append(wanted)
        return spec


class _Refused(Unavailable):
    """A value that cannot be had, with the field that asks for it."""

    def __init__(self, fault: FieldError) -> None:
        super().__init__(fault.message)
        self.fault = fault


class _ServiceClaim(Claim):
    """What one write took from the pools, and what it gives up.

    `ranged` says whether ports must be of the range, `of_api` that the service is the API's own.
    """

    def __init__(self, strategy: ServiceStrategy, *, ranged: bool, of_api: bool) -> None:
        self._strategy = strategy
        self.ranged = ranged
        self.of_api = of_api
        self.addresses: list[str] = []
        self.ports: list[int] = []
        self._given_up: tuple[set[str], set[int]] = (set(), set())

    def give_up(self, old: ServiceSpec, new: ServiceSpec) -> None:
        """Note what `old` had and `new` has no more."""
        self._given_up = (
            set(_addresses(old)) - set(_addresses(new)),
            set(_held_ports(old)) - set(_held_ports(new)),
        )

    def keep(self) -> None:
        """Give back what the write gave up."""
        self._give_back(*self._given_up)

    def cancel(self) -> None:
        """Give back what the write took."""
        self._give_back(set(self.addresses), set(self.ports))

    def _give_back(self, addresses: set[str], ports: set[int]) -> None:
        for address in addresses:
            self._strategy.addresses.give_back(address)
        for port in ports:
            self._strategy.ports.give_back(port)


def _is_api(service: Service) -> bool:
    """Say whether a service is the API's own."""
    return (service.metadata.namespace, service.metadata.name) == ("default", "kubernetes")


def needs_cluster_ip(spec: ServiceSpec) -> bool:
    """Say whether the service has a virtual address: no ExternalName, not headless."""
    return spec.type != "ExternalName" and spec.cluster_ip != HEADLESS


def needs_node_ports(spec: ServiceSpec) -> bool:
    """Say whether every port gets a node port."""
    if spec.type == "LoadBalancer":
        return spec.allocate_load_balancer_node_ports is not False
    return spec.type == "NodePort"


def needs_health_port(spec: ServiceSpec) -> bool:
    """Say whether the service has a health check node port."""
    return spec.type == "LoadBalancer" and spec.external_traffic_policy == "Local"


def _addresses(spec: ServiceSpec) -> tuple[str, ...]:
    """Return the cluster IPs that the service holds."""
    return (spec.cluster_ip,) if needs_cluster_ip(spec) and spec.cluster_ip else ()


def _held_ports(spec: ServiceSpec) -> tuple[int, ...]:
    """Return the node ports that the service holds."""
    health = (spec.health_check_node_port,) if spec.health_check_node_port else ()
    return (*(port.node_port for port in spec.ports if port.node_port), *health)


def _clashes(ports: Sequence[ServicePort], port: ServicePort, node_port: int) -> bool:
    """Say whether another port of the same protocol has `node_port` already."""
    return any(p.node_port == node_port and p.protocol == port.protocol for p in ports)


def _with_cluster_ips(spec: ServiceSpec, old: ServiceSpec | None) -> ServiceSpec:
    """Keep clusterIP and clusterIPs in step (NormalizeClusterIPs)."""
    if spec.cluster_ip and not spec.cluster_ips:
        return spec.replace(cluster_ips=(spec.cluster_ip,))
    if old is None or spec.cluster_ip == old.cluster_ip or spec.cluster_ips != old.cluster_ips:
        return spec
    return spec.replace(cluster_ips=(spec.cluster_ip,) if spec.cluster_ip else ())


def _with_families(spec: ServiceSpec, old: ServiceSpec | None) -> ServiceSpec:
    """Default address families and their policy on a cluster that has IPv4 alone."""
    if spec.type == "ExternalName":
        return spec
    policy = spec.ip_family_policy or (old.ip_family_policy if old else None)
    families = spec.ip_families or (old.ip_families if old else ())
    dual = spec.cluster_ip == HEADLESS and not spec.selector
    if policy is None:
        policy = "RequireDualStack" if dual else "SingleStack"
    families = families or ("IPv4",)
    if dual and len(families) == 1 and policy != "SingleStack":
        families = (*families, "IPv6" if families[0] == "IPv4" else "IPv4")
    if (policy, families) == (spec.ip_family_policy, spec.ip_families):
        return spec
    return spec.replace(ip_family_policy=policy, ip_families=families)


def _keep_allocated(spec: ServiceSpec, old: ServiceSpec) -> ServiceSpec:
    """Take over what was allocated and is not named in the update (patchAllocatedValues)."""
    if needs_cluster_ip(spec) and needs_cluster_ip(old):
        if not spec.cluster_ip:
            spec = spec.replace(cluster_ip=old.cluster_ip)
        if not spec.cluster_ips and spec.cluster_ip == old.cluster_ip:
            spec = spec.replace(cluster_ips=old.cluster_ips)
    if needs_node_ports(spec) and needs_node_ports(old):
        spec = _keep_node_ports(spec, old)
    both_health = needs_health_port(spec) and needs_health_port(old)
    if both_health and not spec.health_check_node_port:
        spec = spec.replace(health_check_node_port=old.health_check_node_port)
    return spec


def _keep_node_ports(spec: ServiceSpec, old: ServiceSpec) -> ServiceSpec:
    named = {port.node_port for port in spec.ports}
    had = {(port.protocol, port.port): port.node_port for port in old.ports}
    ports = []
    for port in spec.ports:
        before = had.get((port.protocol, port.port), 0)
        if not port.node_port and before and before not in named:
            ports.append(port.replace(node_port=before))
        else:
            ports.append(port)
    return spec if tuple(ports) == spec.ports else spec.replace(ports=tuple(ports))


def _drop_useless(spec: ServiceSpec, old: ServiceSpec) -> ServiceSpec:
    """Clear what only the old spec needed, where the update left it (dropTypeDependentFields)."""
    changes: dict[str, object] = {}
    if spec.type == "ExternalName" != old.type:
        if (spec.cluster_ip, spec.cluster_ips) == (old.cluster_ip, old.cluster_ips):
            changes |= {"cluster_ip": "", "cluster_ips": ()}
        changes |= _unchanged(spec, old, "ip_families", ())
        changes |= _unchanged(spec, old, "ip_family_policy", None)
    kept_ports = _node_ports(spec) <= _node_ports(old)
    if old.type in _OUTWARD and spec.type not in _OUTWARD and kept_ports:
        changes["ports"] = tuple(port.replace(node_port=0) for port in spec.ports)
    if needs_health_port(old) and not needs_health_port(spec):
        changes |= _unchanged(spec, old, "health_check_node_port", 0)
    if old.type == "LoadBalancer" != spec.type:
        changes |= _unchanged(spec, old, "allocate_load_balancer_node_ports", None)
        changes |= _unchanged(spec, old, "load_balancer_class", None)
    if old.is_called_from_outside and not spec.is_called_from_outside:
        changes |= _unchanged(spec, old, "external_traffic_policy", "")
    return spec.replace(**changes) if changes else spec


def _node_ports(spec: ServiceSpec) -> set[int]:
    return {port.node_port for port in spec.ports if port.node_port}


def _unchanged(spec: ServiceSpec, old: ServiceSpec, name: str, empty: object) -> dict[str, object]:
    return {name: empty} if getattr(spec, name) == getattr(old, name) else {}


def _quietly_take(pool: Addresses | Ports, value: str | int) -> None:
    try:
        pool.take(value)  # type: ignore[arg-type]
    except Unavailable:
        # An older range, or a value held twice by a fault: the service has it nonetheless.
        return
