"""Rules of IP addresses in Services and Endpoints. This cluster has IPv4 only."""

from __future__ import annotations

from reconciler.admission.errors import Errors, duplicate, invalid, not_supported
from reconciler.admission.rules import names
from reconciler.model.address import parse_ip
from reconciler.model.service import ServiceSpec

FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_IPS_MAX = 2


def cluster_ips(spec: ServiceSpec) -> Errors:
    """ValidateServiceClusterIPsRelatedFields, then what this cluster cannot give."""
    if spec.type == "ExternalName":
        return
    path, addresses = "spec.clusterIPs", spec.cluster_ips
    if not spec.cluster_ip and addresses:
        yield invalid(path, addresses, "must be empty when `clusterIP` is not specified")
    elif addresses and addresses[0] != spec.cluster_ip:
        yield invalid(path, addresses, "first value must match `clusterIP`")
    yield from _families(spec)
    held = addresses or ((spec.cluster_ip,) if spec.cluster_ip else ())
    faults = tuple(_addresses(held))
    yield from faults
    if faults:
        return
    if len(held) > _IPS_MAX:
        yield invalid(path, held, f"may only hold up to {_IPS_MAX} values")
    kinds = [":" in address for address in held]
    if len(held) > 1 and (len(held) > _IPS_MAX or len(set(kinds)) < len(kinds)):
        yield invalid(path, held, "may specify no more than one IP for each IP family")
    elif any(kinds):
        index = kinds.index(True)
        yield invalid(f"{path}[{index}]", held, "IPv6 is not configured on this cluster")


def _families(spec: ServiceSpec) -> Errors:
    seen: set[str] = set()
    for index, family in enumerate(spec.ip_families):
        where = f"spec.ipFamilies[{index}]"
        if family not in FAMILIES:
            yield not_supported(where, family, FAMILIES)
        elif family in seen:
            yield duplicate(where, family)
        seen.add(family)
    policy = spec.ip_family_policy
    if policy is not None and policy not in FAMILY_POLICIES:
        yield not_supported("spec.ipFamilyPolicy", policy, FAMILY_POLICIES)
    elif spec.selector or spec.cluster_ip != "None":
        # A headless service without a selector has no address of this cluster's.
        yield from _one_family(spec)


def _one_family(spec: ServiceSpec) -> Errors:
    """What an IPv4 cluster cannot give (the allocator's initIPFamilyFields)."""
    if spec.ip_family_policy == "RequireDualStack":
        text = "this cluster is not configured for dual-stack services"
        yield invalid("spec.ipFamilyPolicy", spec.ip_family_policy, text)
    for index, family in enumerate(spec.ip_families):
        if family == "IPv6":
            yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")


def _addresses(addresses: tuple[str, ...]) -> Errors:
    if "None" in addresses:
        if len(addresses) > 1:
            text = "'None' must be the first and only value"
            yield invalid("spec.clusterIPs", addresses, text)
        return
    for index, address in enumerate(addresses):
        messages = names.ip_address(address)
        yield from names.each(f"spec.clusterIPs[{index}]", address, messages)


def external_ip(address: str, path: str) -> Errors:
    """An address from outside is no special one."""
    messages = names.ip_address(address)
    if messages:
        yield from names.each(path, address, messages)
    else:
        yield from no_special_ip(address, path)


def no_special_ip(address: str, path: str) -> Errors:
    """ValidateNonSpecialIP."""
    ip = parse_ip(address)
    if ip is None:
        yield invalid(path, address, "must be a valid IP address")
        return
    if ip.is_unspecified:
        yield invalid(path, address, f"may not be unspecified ({address})")
    if ip.is_loopback:
        yield invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if ip.is_link_local:
        text = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        yield invalid(path, address, text)
    if str(ip).startswith(("224.0.0.", "ff02::")):
        text = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        yield invalid(path, address, text)
