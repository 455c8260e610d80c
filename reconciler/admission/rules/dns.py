"""Rules of a pod's name resolution."""

from __future__ import annotations

from reconciler.admission.errors import Errors, invalid, not_supported, required
from reconciler.admission.rules import names
from reconciler.model.pod import PodDNSConfig

POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
NAMESERVERS_MAX = 3
SEARCHES_MAX = 32
SEARCH_LIST_MAX = 2048


def dns_policy(policy: str, path: str) -> Errors:
    """ValidateDNSPolicy."""
    if policy not in POLICIES:
        yield not_supported(path, policy, POLICIES) if policy else required(path)


def dns_config(config: PodDNSConfig | None, policy: str, path: str) -> Errors:
    """ValidatePodDNSConfig: the policy None needs a name server of its own."""
    if policy == "None":
        yield from _own_servers(config, path)
    if config is None:
        return
    servers = config.nameservers
    if len(servers) > NAMESERVERS_MAX:
        text = f"must not have more than {NAMESERVERS_MAX} nameservers"
        yield invalid(f"{path}.nameservers", servers, text)
    for index, server in enumerate(servers):
        yield from names.each(f"{path}.nameservers[{index}]", server, names.ip_address(server))
    yield from _searches(config.searches, f"{path}.searches")
    for index, option in enumerate(config.options):
        if not option.name:
            yield required(f"{path}.options[{index}]", "must not be empty")


def _own_servers(config: PodDNSConfig | None, path: str) -> Errors:
    if config is None:
        yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
    elif not config.nameservers:
        text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield required(f"{path}.nameservers", text)


def _searches(searches: tuple[str, ...], path: str) -> Errors:
    if len(searches) > SEARCHES_MAX:
        yield invalid(path, searches, f"must not have more than {SEARCHES_MAX} search paths")
    if len(" ".join(searches)) > SEARCH_LIST_MAX:
        text = f"must not have more than {SEARCH_LIST_MAX} characters (including spaces)"
        yield invalid(path, searches, f"{text} in the search list")
    for index, search in enumerate(searches):
        messages = names.dns_subdomain(search.removesuffix("."))
        yield from names.each(f"{path}[{index}]", search, messages)
