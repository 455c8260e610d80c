"""The texts of a pod's /etc/hosts and /etc/resolv.conf, and its hostname. Pure.

Kubernetes' kubelet-managed hosts file and its DNS configurer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.core.errors import ReconcilerError
from reconciler.model.pod import Pod

_HOSTS = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_HOST_NETWORK = "# Kubernetes-managed hosts file (host network).\n"
_MOST_SEARCHES, _LONGEST_SEARCH, _LONGEST_SEARCHES = 32, 253, 2048
_MOST_NAMESERVERS = 3
_LONGEST_HOSTNAME, _LONGEST_FQDN = 63, 64


class HostnameTooLong(ReconcilerError):
    """The kernel takes no hostname of that length."""


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """The cluster's resolver and domain."""

    address: str
    domain: str = "cluster.local"


def hostname(pod: Pod) -> str:
    """Return the pod's hostname: its spec's, or its name cut to 63 characters."""
    name = pod.spec.hostname or pod.metadata.name
    return name[:_LONGEST_HOSTNAME].rstrip("-.")


def kernel_hostname(pod: Pod, dns: ClusterDns) -> str:
    """Return what `hostname` prints in the pod: with setHostnameAsFQDN its name with the domain.

    Kubernetes' GetNodenameForKernel. Raises `HostnameTooLong`.
    """
    name, domain = hostname(pod), _domain(pod, dns)
    if not pod.spec.set_hostname_as_fqdn or not domain:
        return name
    full = f"{name}.{domain}"
    if len(full) > _LONGEST_FQDN:
        raise HostnameTooLong(
            "Failed to construct FQDN from Pod hostname and cluster domain, FQDN "
            f"{full} is too long ({_LONGEST_FQDN} characters is the max, "
            f"{len(full)} characters requested)"
        )
    return full


def hosts_file(pod: Pod, address: str, dns: ClusterDns, host_text: str) -> str:
    """Return /etc/hosts; `host_text` is the host's own, for pods in the host's network."""
    if pod.spec.host_network:
        return _HOST_NETWORK + host_text + _aliases(pod)
    name, domain = hostname(pod), _domain(pod, dns)
    names = f"{name}.{domain}\t{name}" if domain else name
    return f"{_HOSTS}{address}\t{names}\n{_aliases(pod)}"


def _domain(pod: Pod, dns: ClusterDns) -> str:
    if not pod.spec.subdomain:
        return ""
    return f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{dns.domain}"


def _aliases(pod: Pod) -> str:
    if not pod.spec.host_aliases:
        return ""
    names = ("\t".join((alias.ip, *alias.hostnames)) for alias in pod.spec.host_aliases)
    return "\n# Entries added by HostAliases.\n" + "".join(f"{line}\n" for line in names)


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolv.conf says."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the file, in the order in which Kubernetes writes it."""
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {server}" for server in self.nameservers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines)


def parse_resolver(text: str) -> Resolver:
    """Read a resolv.conf; unknown lines are left out."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        keyword, *values = line.split() or [""]
        if keyword == "nameserver":
            servers += values[:1]
        elif keyword == "search":
            searches = tuple(values)
        elif keyword == "options":
            options = tuple(values)
    return Resolver(tuple(servers), searches, options)


def resolver(pod: Pod, dns: ClusterDns, host: Resolver) -> Resolver:
    """Return the pod's resolver by dnsPolicy and dnsConfig; `host` is the host's own."""
    policy = pod.spec.dns_policy or "ClusterFirst"
    if policy == "None":
        base = Resolver()
    elif policy == "ClusterFirstWithHostNet" or (
        policy == "ClusterFirst" and not pod.spec.host_network
    ):
        base = _cluster_first(pod, dns, host)
    else:
        base = host
    return _with_config(pod, base)


def _cluster_first(pod: Pod, dns: ClusterDns, host: Resolver) -> Resolver:
    domains = (
        f"{pod.metadata.namespace}.svc.{dns.domain}",
        f"svc.{dns.domain}",
        dns.domain,
    )
    return Resolver((dns.address,), _unique(domains + host.searches), ("ndots:5",))


def _with_config(pod: Pod, base: Resolver) -> Resolver:
    config = pod.spec.dns_config
    if config is None:
        return base
    options = dict(option.partition(":")[::2] for option in base.options)
    options.update({option.name: option.value or "" for option in config.options})
    return Resolver(
        _unique(base.nameservers + config.nameservers),
        _unique(base.searches + config.searches),
        tuple(f"{name}:{value}" if value else name for name, value in options.items()),
    )


def fitted(wanted: Resolver) -> tuple[Resolver, tuple[str, ...]]:
    """Return what the C library takes of a resolver, and in Kubernetes' words what it does not.

    Kubernetes' formDNSNameserversFitsLimits and formDNSSearchFitsLimits.
    """
    servers = wanted.nameservers[:_MOST_NAMESERVERS]
    searches = tuple(_searches(wanted.searches))
    messages: list[str] = []
    if servers != wanted.nameservers:
        messages.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(servers)}"
        )
    if searches != wanted.searches:
        messages.append(
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(searches)}"
        )
    return Resolver(servers, searches, wanted.options), tuple(messages)


def _searches(wanted: tuple[str, ...]) -> Iterator[str]:
    left = _LONGEST_SEARCHES + 1  # as if a space stood before the first
    for search in wanted[:_MOST_SEARCHES]:
        if len(search) > _LONGEST_SEARCH:
            continue
        left -= len(search) + 1
        if left < 0:
            return
        yield search


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
