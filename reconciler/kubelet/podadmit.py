"""Whether this host can run a pod at all: the kubelet's admission. Pure.

Called by `admitting.py`. One that is rejected fails for good, with
Kubernetes' reason and words where it has such a rule (OS, sysctl allowlist, AppArmor); what only
Docker cannot give is rejected likewise, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model.container import Container
from reconciler.model.pod import Pod

SAFE_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    )
)
"""Kubernetes' SafeSysctlAllowlist."""

_PATTERN = re.compile(
    r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*([./]?\*)?"
)
_NAMESPACED = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.", "net.")
_NETWORK = "net."
_IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a pod fails before it began."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class HostRules:
    """What this host has and allows.

    `security` are the engine's words for what it can confine by ("apparmor", "selinux");
    `unsafe_sysctls` are names, or prefixes that end in `*`, that pods may set beside the safe ones.
    """

    security: frozenset[str] = frozenset()
    unsafe_sysctls: tuple[str, ...] = ()


def pattern_fault(pattern: str) -> str:
    """Return why a pattern cannot be among `unsafe_sysctls`; empty when it can (NewAllowlist)."""
    if not _PATTERN.fullmatch(pattern):
        return f"{pattern!r} must be either a sysctl name or a sysctl prefix ending in *"
    if not pattern.replace("/", ".").startswith(_NAMESPACED):
        return f"the sysctl {pattern!r} is not known to be of a namespace: it would be the host's"
    return ""


def rejection(pod: Pod, rules: HostRules) -> Rejection | None:
    """Return why the pod cannot run here; None when it can."""
    return next(_rejections(pod, rules), None)


def _rejections(pod: Pod, rules: HostRules) -> Iterator[Rejection]:
    if pod.spec.os is not None and pod.spec.os.name != "linux":
        why = "Failed to admit pod as the OS field doesn't match node OS"
        yield Rejection("PodOSNotSupported", why)
    context = pod.spec.security_context
    for sysctl in context.sysctls if context is not None else ():
        wrong = _wrong_sysctl(pod, sysctl.name.replace("/", "."), rules)
        if wrong:
            yield Rejection("SysctlForbidden", f"forbidden sysctl: {wrong}")
    if "apparmor" not in rules.security and _asks_app_armor(pod):
        why = "Cannot enforce AppArmor: AppArmor is not enabled on the host"
        yield Rejection("AppArmor", why)
    if "selinux" not in rules.security and _asks_selinux(pod):
        yield Rejection("SELinux", "Cannot apply seLinuxOptions: the engine runs without SELinux")
    if pod.spec.host_users is False:
        why = "Cannot map the users of one pod: its volumes would be nobody's"
        yield Rejection("UserNamespaces", why)


def _wrong_sysctl(pod: Pod, name: str, rules: HostRules) -> str:
    """patternAllowlist.validateSysctl."""
    if not _allowed(name, rules.unsafe_sysctls):
        return f'"{name}" not allowlisted'
    if pod.spec.host_network and name.startswith(_NETWORK):
        return f'"{name}" not allowed with host net enabled'
    if pod.spec.host_ipc and name.startswith(_IPC):
        return f'"{name}" not allowed with host ipc enabled'
    return ""


def _allowed(name: str, patterns: tuple[str, ...]) -> bool:
    return name in SAFE_SYSCTLS or any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
        for pattern in patterns
    )


def _asks_app_armor(pod: Pod) -> bool:
    """Kubernetes' isRequired: any profile but Unconfined, in a field or an old annotation."""
    shared = pod.spec.security_context.app_armor_profile if pod.spec.security_context else None
    held = [shared]
    held += [
        each.security_context.app_armor_profile
        for each in _containers(pod)
        if each.security_context is not None
    ]
    notes = pod.metadata.annotations.items()
    return any(profile is not None and profile.type != "Unconfined" for profile in held) or any(
        key.startswith(_ANNOTATION) and value != "unconfined" for key, value in notes
    )


def _asks_selinux(pod: Pod) -> bool:
    shared = pod.spec.security_context
    own = (each.security_context for each in _containers(pod))
    held = [*(each and each.se_linux_options for each in own), shared and shared.se_linux_options]
    return any(held)


def _containers(pod: Pod) -> tuple[Container, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers)
