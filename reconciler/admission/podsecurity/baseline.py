"""The level baseline: no known way to gain rights on the host. Pure; called by `policy.py`.

One function a check of the Pod Security Standards, with Kubernetes' message.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.admission.podsecurity.names import (
    Fault,
    containers,
    context,
    everybody,
    offenders,
    quoted,
    volumes,
)
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import PodSpec
from reconciler.model.security import AppArmorProfile, SELinuxOptions

_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
        *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_SYSCTLS = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range"),
        *("net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies"),
        *("net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
        *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout"),
        *("net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"),
    }
)
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"


def app_armor(meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """Profiles may be the runtime's own or the host's, never none."""
    pod = spec.security_context.app_armor_profile if spec.security_context else None
    told = (
        [f'pod must not set AppArmor profile type to "{pod.type}"'] if _loose(pod) and pod else []
    )
    names = offenders(spec, lambda each: _loose(each.app_armor_profile))
    if names:
        told.append(f'{containers(names)} must not set AppArmor profile type to "Unconfined"')
    told += [
        f'annotation "{key}" must not be set to "{value}"'
        for key, value in sorted(meta.annotations.items())
        if key.startswith(_APP_ARMOR)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    ]
    if told:
        word = "profiles" if len(told) > 1 else "profile"
        yield Fault(f"forbidden AppArmor {word}", ", ".join(told))


def _loose(profile: AppArmorProfile | None) -> bool:
    return profile is not None and profile.type not in ("RuntimeDefault", "Localhost", "")


def capabilities(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """Capabilities beyond the engine's default ones may not be added."""
    names, added = [], set()
    for each in everybody(spec):
        given = context(each).capabilities
        more = set(given.add) - _CAPABILITIES if given is not None else set()
        if more:
            names.append(each.name)
            added |= more
    if names:
        text = f"must not include {quoted(sorted(added))} in securityContext.capabilities.add"
        yield Fault("non-default capabilities", f"{containers(names)} {text}")


def host_namespaces(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """The host's network, processes and IPC are not shared."""
    asked = {
        "hostNetwork": spec.host_network,
        "hostPID": spec.host_pid,
        "hostIPC": spec.host_ipc,
    }
    told = [f"{name}=true" for name, given in asked.items() if given]
    if told:
        yield Fault("host namespaces", ", ".join(told))


def host_path_volumes(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """No folder of the host is mounted."""
    names = [volume.name for volume in spec.volumes if volume.host_path is not None]
    if names:
        yield Fault("hostPath volumes", volumes(names))


def host_ports(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """No port of the host is taken."""
    names, ports = [], set()
    for each in everybody(spec):
        taken = {port.host_port for port in each.ports if port.host_port}
        if taken:
            names.append(each.name)
            ports |= taken
    if names:
        uses = "uses" if len(names) == 1 else "use"
        word = "hostPorts" if len(ports) > 1 else "hostPort"
        shown = ", ".join(str(port) for port in sorted(ports))
        yield Fault("hostPort", f"{containers(names)} {uses} {word} {shown}")


def privileged(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """No container is privileged."""
    names = offenders(spec, lambda each: bool(each.privileged))
    if names:
        yield Fault(
            "privileged", f"{containers(names)} must not set securityContext.privileged=true"
        )


def proc_mount(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """/proc stays masked."""
    names = offenders(spec, lambda each: (each.proc_mount or "Default") != "Default")
    if names:
        text = 'must not set securityContext.procMount to "Unmasked"'
        yield Fault("procMount", f"{containers(names)} {text}")


def se_linux(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """SELinux types are those of containers; no user or role is set."""
    pod = spec.security_context.se_linux_options if spec.security_context else None
    names = offenders(spec, lambda each: bool(_bad_labels(each.se_linux_options)))
    bad = {*_bad_labels(pod)}
    for each in everybody(spec):
        bad |= {*_bad_labels(context(each).se_linux_options)}
    if not bad:
        return
    setters = ["pod"] if _bad_labels(pod) else []
    setters += [containers(names)] if names else []
    shown = "; ".join(sorted(bad))
    yield Fault(
        "seLinuxOptions",
        f"{' and '.join(setters)} set forbidden securityContext.seLinuxOptions: {shown}",
    )


def _bad_labels(options: SELinuxOptions | None) -> list[str]:
    if options is None:
        return []
    bad = [] if options.type in _SELINUX_TYPES else [f'type "{options.type}"']
    bad += [f'user may not be set ("{options.user}")'] if options.user else []
    bad += [f'role may not be set ("{options.role}")'] if options.role else []
    return bad


def seccomp(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """System calls are filtered."""
    pod = spec.security_context.seccomp_profile if spec.security_context else None
    setters = ["pod"] if pod is not None and pod.type == "Unconfined" else []
    names = offenders(
        spec,
        lambda each: each.seccomp_profile is not None and each.seccomp_profile.type == "Unconfined",
    )
    setters += [containers(names)] if names else []
    if setters:
        text = 'must not set securityContext.seccompProfile.type to "Unconfined"'
        yield Fault("seccompProfile", f"{' and '.join(setters)} {text}")


def sysctls(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """Only sysctls that are the pod's alone are set."""
    given = spec.security_context.sysctls if spec.security_context else ()
    bad = [each.name for each in given if each.name not in _SYSCTLS]
    if bad:
        yield Fault(f"forbidden sysctl{'s' if len(bad) > 1 else ''}", ", ".join(bad))


def windows_host_process(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """No process of a Windows host."""
    pod = spec.security_context.windows_options if spec.security_context else None
    setters = ["pod"] if pod is not None and pod.host_process else []
    names = offenders(
        spec, lambda each: bool(each.windows_options and each.windows_options.host_process)
    )
    setters += [containers(names)] if names else []
    if setters:
        text = "must not set securityContext.windowsOptions.hostProcess=true"
        yield Fault("hostProcess", f"{' and '.join(setters)} {text}")
