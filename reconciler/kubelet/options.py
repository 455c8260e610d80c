"""What a kubelet is given: its settings, the live copies that it reads, and its host's own words.

Made by the composition root for `kubelet.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.client.informer import Informer
from reconciler.kubelet import sandboximage
from reconciler.kubelet.eviction import INTERVAL
from reconciler.kubelet.hostfacts import disk_size
from reconciler.kubelet.labels import SCOPE
from reconciler.kubelet.podspec import HostLimits
from reconciler.kubelet.resolver import ClusterDns
from reconciler.kubelet.starter import Host
from reconciler.kubelet.volumes.gitclone import GitLimits
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.gitops import ProxyState
from reconciler.model.imagepull import ImagePull
from reconciler.model.meta import KubeObject
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.quantity import from_bytes
from reconciler.model.service import Service
from reconciler.model.storage import PersistentVolume


@dataclass(frozen=True, slots=True)
class KubeletOptions:
    """How this node's kubelet works. Times are seconds.

    `parallel` is how many pods are worked on at a time; more gain nothing on one engine.
    `relist` is the time between two full listings, which heal lost events.
    `scope` tells containers of several kubelets on one engine apart, as in tests.
    `volume_drivers` are Docker's volume plugins by the type of volume that each serves.
    `seccomp_profiles` is the folder of profiles that pods may name, `unsafe_sysctls` what they may
    set beside the safe ones: names, or prefixes that end in `*`. `eviction_interval` is the time
    between two looks at what pods wrote. `huge_pages` are the bytes that this host keeps as such,
    by the size of a page, where their use can be limited.
    """

    node_name: str
    host_ip: str
    pod_cidr: str = "10.244.0.0/24"
    dns: ClusterDns = field(default_factory=lambda: ClusterDns("10.96.0.10"))
    limits: HostLimits = field(default_factory=HostLimits)
    let_go_timeout: float = 1.0
    parallel: int = 8
    relist: float = 300.0
    git: GitLimits = field(default_factory=GitLimits)
    scope: str = SCOPE
    volume_drivers: Mapping[str, str] = field(default_factory=dict)
    seccomp_profiles: Path = Path("/var/lib/reconciler/seccomp")
    unsafe_sysctls: tuple[str, ...] = ()
    eviction_interval: float = INTERVAL
    huge_pages: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Informers:
    """The live copies that the kubelet reads; run by whoever made them.

    `objects` are those of the kinds that volumes and environments are made of; `nodes` tell what
    this one has for pods that name it themselves.
    """

    pods: Informer[Pod]
    services: Informer[Service]
    slices: Informer[EndpointSlice]
    proxies: Informer[ProxyState]
    objects: Mapping[type[KubeObject], Informer[Any]] = field(default_factory=dict)
    volumes: Informer[PersistentVolume] | None = None
    image_pulls: Informer[ImagePull] | None = None
    nodes: Informer[Node] | None = None


def host_of(options: KubeletOptions) -> Host:
    """Return what pods of this host are told or get beside their own specs. Reads its files."""
    return Host(
        ip=options.host_ip,
        dns=options.dns,
        sandbox_image=sandboximage.image_name(),
        limits=options.limits,
        scope=options.scope,
        hosts=_read("/etc/hosts"),
        resolver=_read("/etc/resolv.conf"),
        allocatable={
            "cpu": str(os.cpu_count() or 1),
            "ephemeral-storage": from_bytes(disk_size()),
            "memory": from_bytes(options.limits.memory),
        },
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
