"""The parts that act on this host: kubelet, proxy, DNS. Composed here for `app.py`, its caller.

Everything that reaches outside the process (Docker, netlink, nftables, sockets) is opened here,
so that a simulation composes the same parts on fakes.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass, field

from reconciler.client.casualties import Casualties
from reconciler.client.informer import Informer
from reconciler.client.protocol import Client
from reconciler.core.clock import Clock
from reconciler.core.tasks import Part
from reconciler.kubelet import capabilities
from reconciler.kubelet.bridge import BridgeNetwork
from reconciler.kubelet.docker import DockerRuntime
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.firewall import ForwardAccept
from reconciler.kubelet.hostfacts import HostFacts, host_facts
from reconciler.kubelet.kubelet import Kubelet
from reconciler.kubelet.narration import Recorder
from reconciler.kubelet.node import NodeAgent, NodeOptions
from reconciler.kubelet.options import Informers, KubeletOptions
from reconciler.kubelet.podnetwork import NetworkPlan, PodNetwork
from reconciler.kubelet.podspec import HostLimits
from reconciler.kubelet.processes import PidFds, Processes
from reconciler.kubelet.resolver import ClusterDns
from reconciler.kubelet.runtime import ContainerRuntime
from reconciler.kubelet.streams import DockerStreams
from reconciler.kubelet.volumes.engine import EngineVolumes
from reconciler.kubelet.volumes.gitclone import GitLimits
from reconciler.kubelet.volumes.provisioner import NodeVolumes
from reconciler.model.node import Node
from reconciler.model.streaming import NodeStreams
from reconciler.proxy import rules
from reconciler.proxy.adapters import Host as Kernel
from reconciler.proxy.departures import Departures
from reconciler.proxy.dns import zone
from reconciler.proxy.dns.server import DnsServer
from reconciler.proxy.healthcheck import HealthChecks
from reconciler.proxy.loop import Proxy, Timing
from reconciler.proxy.readback import commits
from reconciler.proxy.skeleton import BRIDGE, Network
from reconciler.settings import Settings


@dataclass(frozen=True, slots=True)
class Adapters:
    """What the kubelet and the proxy act on, and what they are told of the host.

    `address` is the one from which the host reaches others; `casualties` are what the kubelet tells
    the proxy.
    """

    runtime: ContainerRuntime
    network: PodNetwork
    files: PodFiles
    kernel: Kernel
    facts: HostFacts
    limits: HostLimits
    address: str
    processes: Processes = field(default_factory=PidFds)
    casualties: Casualties = field(default_factory=Casualties)


def network_plan(settings: Settings) -> NetworkPlan:
    """Return what the host's network shall look like."""
    return NetworkPlan(settings.pod_cidr, settings.service_cidr, settings.cluster_dns)


def adapters(settings: Settings) -> Adapters:
    """Return this host's own: its Docker engine, its bridge, its folders."""
    return Adapters(
        DockerRuntime(settings.docker_socket),
        BridgeNetwork(network_plan(settings)),
        PodFiles(settings.state_dir, settings.run_dir),
        Kernel(),
        host_facts(),
        host_limits(),
        host_address(),
    )


def kubelet(
    settings: Settings,
    client: Client,
    informers: Informers,
    recorder: Recorder,
    clock: Clock,
    on: Adapters,
) -> dict[str, Part]:
    """Return the loops that run this node's pods and, where wanted, register the node."""
    options = _kubelet_options(settings, on)
    pods = Kubelet(
        client=client,
        informers=informers,
        runtime=on.runtime,
        network=on.network,
        files=on.files,
        recorder=recorder,
        clock=clock,
        options=options,
        processes=on.processes,
        casualties=on.casualties,
    )
    parts: dict[str, Part] = {"kubelet": pods.run}
    if informers.volumes is not None:
        engine = EngineVolumes(on.files.offload, on.runtime, client, {}, options.scope)
        parts["nodevolumes"] = NodeVolumes(
            client, informers.volumes, on.runtime, engine, recorder, settings.node_name
        ).run
    if settings.register_node:
        node = NodeOptions(settings.node_name, on.address, settings.pod_cidr)
        parts["node"] = NodeAgent(client, on.runtime, clock, on.facts, node).run
    return parts


def _kubelet_options(settings: Settings, on: Adapters) -> KubeletOptions:
    return KubeletOptions(
        node_name=settings.node_name,
        host_ip=on.address,
        pod_cidr=settings.pod_cidr,
        dns=ClusterDns(settings.cluster_dns, settings.cluster_domain),
        limits=on.limits,
        let_go_timeout=settings.let_go_timeout,
        git=GitLimits(settings.git_repo_timeout, settings.git_repo_size, settings.git_repo_file),
        volume_drivers=settings.volume_drivers,
        seccomp_profiles=settings.seccomp_profiles or settings.state_dir / "seccomp",
        unsafe_sysctls=settings.allowed_unsafe_sysctls,
        huge_pages=on.facts.huge_pages,
    )


def proxy(
    settings: Settings,
    client: Client,
    informers: Informers,
    on: Adapters,
    nodes: Informer[Node] | None = None,
    *,
    timing: Timing | None = None,
) -> dict[str, Part]:
    """Return the loops that keep the kernel's rules for services, and its connections true.

    `nodes` tell in which zone this host is.
    """
    pods = ipaddress.IPv4Network(settings.pod_cidr)
    # One node: its pods are all the cluster's pods.
    local = tuple(filter(None, settings.node_port_addresses.split(",")))
    network = Network(settings.pod_cidr, settings.pod_cidr, settings.service_cidr, local)
    node = rules.Node(settings.node_name, pods, on.address)
    services, slices = informers.services, informers.slices
    served = Proxy(
        client, services, slices, informers.pods, node, network, timing=timing, host=on.kernel
    )
    served.heed(on.casualties)
    if nodes is not None:
        served.follow_zone(nodes)
    gone = Departures(informers.pods, on.kernel.flows, pods)
    return {"proxy": served.run, "departures": gone.run}


def names(settings: Settings, informers: Informers) -> dict[str, Part]:
    """Return the loops that answer on sockets: names of services, and their health."""
    services, slices = informers.services, informers.slices
    names = zone.Settings(
        settings.cluster_domain, settings.cluster_dns, settings.service_cidr, settings.pod_cidr
    )
    return {
        "dns": DnsServer(services, slices, names).run,
        "healthcheck": HealthChecks(services, slices, settings.node_name).run,
    }


def streams(settings: Settings) -> NodeStreams:
    """Return what serves logs, exec and port-forward of this node's pods."""
    return DockerStreams(settings.docker_socket)


def firewall() -> dict[str, Part]:
    """Return the loop that keeps Docker's filter chain open for the pods' bridge."""
    return {"firewall": ForwardAccept(BRIDGE, commits=commits).run}


def host_address() -> str:
    """Return the address from which this host reaches others; 127.0.0.1 when it has no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # A UDP socket's connect sends nothing; TEST-NET-1 belongs to nobody (RFC 5737).
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def host_limits() -> HostLimits:
    """Return what this host cannot give the daemon and its containers."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    effective, bounding = _capabilities()
    return HostLimits(
        memory=memory,
        # A child gets only what is in the bounding set.
        negative_oom_scores=bool(bounding >> capabilities.SYS_RESOURCE & 1),
        shortfalls=tuple(capabilities.shortfalls(effective, bounding)),
    )


def _capabilities() -> tuple[int, int]:
    """Return the effective and the bounding set of this process, as the kernel's bits."""
    found = dict.fromkeys(("CapEff", "CapBnd"), 0)
    with open("/proc/self/status") as status:  # noqa: PTH123 - two lines of a proc file
        for line in status:
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value, 16)
    return found["CapEff"], found["CapBnd"]
