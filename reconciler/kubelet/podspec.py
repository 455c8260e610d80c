"""A pod's sandbox and containers in the engine's terms. Pure.

Called by `worker.py` with everything that had to be looked up: paths, environment, image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.kubelet import launcher
from reconciler.kubelet.accounts import Accounts
from reconciler.kubelet.env import ConfigError, Environment
from reconciler.kubelet.labels import (
    LAUNCHED,
    NOT_RECURSIVE,
    SANDBOX,
    PodKey,
    container_labels,
    container_name,
    sandbox_labels,
)
from reconciler.kubelet.qos import engine_resources, oom_score_adj
from reconciler.kubelet.roster import spec_hash
from reconciler.kubelet.runtime import ContainerSpec, Device, Image, Mount, Resources, Security
from reconciler.kubelet.sandboximage import COMMAND
from reconciler.kubelet.securityspec import security
from reconciler.kubelet.volumes.protocol import Ready
from reconciler.model.container import Container, VolumeDevice, VolumeMount
from reconciler.model.pod import Pod

_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
# Kubernetes' score for a sandbox: never the victim.
_SANDBOX_OOM_SCORE = -998
_SANDBOX_SHARES = 2


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What this host cannot give; `memory` is its size in bytes, `shortfalls` are sentences."""

    memory: int = 0
    negative_oom_scores: bool = True
    shortfalls: tuple[str, ...] = ()

    def oom_score(self, wanted: int) -> int:
        """Return `wanted`, or 0 where the host refuses a negative score."""
        return wanted if wanted >= 0 or self.negative_oom_scores else 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a container needs that was made ready for it.

    `files` are (host path, path inside) of the network files and the termination log; `volumes`
    go by volume name, `bound` are host paths of parts of them by mount path; `secret_file` and
    `launcher` are host paths, when it has secrets. `accounts` are the image's where they matter,
    `seccomp` is the content of the host's profile. `target` is the id of the container whose
    processes an ephemeral one joins.
    """

    image: Image
    environment: Environment
    files: tuple[tuple[str, str], ...] = ()
    volumes: Mapping[str, Ready] = field(default_factory=dict)
    bound: Mapping[str, str] = field(default_factory=dict)
    launcher: str = ""
    secret_file: str = ""
    target: str = ""
    accounts: Accounts | None = None
    seccomp: str = ""


def pod_key(pod: Pod) -> PodKey:
    """Return the key of the pod's incarnation."""
    return PodKey(pod.metadata.namespace, pod.metadata.name, pod.metadata.uid)


def sandbox_spec(
    pod: Pod, attempt: int, address: str, image: str, name: str, limits: HostLimits, seccomp: str
) -> ContainerSpec:
    """Return the sandbox: it holds the network and IPC namespaces, and the hostname `name`.

    `seccomp` is the profile of its program; empty means the engine's default.
    """
    key = pod_key(pod)
    context = pod.spec.security_context
    sysctls = tuple((s.name, s.value) for s in context.sysctls) if context else ()
    host_network = pod.spec.host_network
    return ContainerSpec(
        name=container_name(key, SANDBOX, attempt),
        image=image,
        labels=sandbox_labels(key, attempt, address),
        entrypoint=COMMAND,
        command=(),
        hostname="" if host_network else name,
        network="host" if host_network else "none",
        ipc="host" if pod.spec.host_ipc else "shareable",
        pid="host" if pod.spec.host_pid else "",
        resources=Resources(cpu_shares=_SANDBOX_SHARES),
        security=Security(
            read_only_root=True, no_new_privileges=True, sysctls=sysctls, seccomp=seccomp
        ),
        oom_score_adj=limits.oom_score(_SANDBOX_OOM_SCORE),
    )


def container_spec(
    pod: Pod,
    container: Container,
    attempt: int,
    backoff: float,
    sandbox: str,
    ready: Prepared,
    limits: HostLimits,
) -> ContainerSpec:
    """Return a container of the pod that joins the sandbox's namespaces.

    Raises `ConfigError` and `SecurityRefused`.
    """
    key = pod_key(pod)
    entrypoint, command = _command(container, ready)
    return ContainerSpec(
        name=container_name(key, container.name, attempt),
        image=container.image,
        labels={
            **container_labels(
                key,
                container.name,
                attempt,
                sandbox=sandbox,
                spec_hash=spec_hash(container),
                backoff=backoff,
            ),
            **({LAUNCHED: "true"} if ready.secret_file else {}),
            **_not_recursive(container, ready),
        },
        entrypoint=entrypoint,
        command=command,
        environment=ready.environment.plain(),
        working_dir=container.working_dir,
        network="host" if pod.spec.host_network else f"container:{sandbox}",
        ipc="host" if pod.spec.host_ipc else f"container:{sandbox}",
        pid=f"container:{ready.target}" if ready.target else _pid_namespace(pod, sandbox),
        mounts=_mounts(container, ready),
        devices=tuple(_device(device, ready) for device in container.volume_devices),
        resources=engine_resources(container.resources),
        security=security(pod, container, ready.image, ready.accounts, ready.seccomp),
        oom_score_adj=limits.oom_score(oom_score_adj(pod.spec, container, limits.memory)),
        tty=container.tty,
        stdin=container.stdin,
        stdin_once=container.stdin_once,
    )


def _pid_namespace(pod: Pod, sandbox: str) -> str:
    if pod.spec.host_pid:
        return "host"
    return f"container:{sandbox}" if pod.spec.share_process_namespace else ""


def _command(
    container: Container, ready: Prepared
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return entrypoint and command; the launcher in front when there are secret variables.

    A command that holds a secret is in the launcher's file and shows nowhere.
    """
    variables = ready.environment
    if not ready.secret_file:
        return variables.expand(container.command) or None, variables.expand(container.args) or None
    if reveals(container, variables):
        return launcher.ENTRYPOINT, ()
    return launcher.ENTRYPOINT, whole_command(container, variables, ready.image)


def reveals(container: Container, variables: Environment) -> bool:
    """Tell whether the container's command or arguments refer to a secret variable."""
    return variables.reveals((*container.command, *container.args))


def whole_command(container: Container, variables: Environment, image: Image) -> tuple[str, ...]:
    """Return all words of the command, the image's where the container has none.

    Raises `ConfigError` when there are none at all.
    """
    entrypoint = variables.expand(container.command)
    arguments = variables.expand(container.args)
    if not arguments and not entrypoint:
        arguments = image.command
    whole = (*(entrypoint or image.entrypoint), *arguments)
    if not whole:
        raise ConfigError("no command specified")
    return whole


def _mounts(container: Container, ready: Prepared) -> tuple[Mount, ...]:
    targets = {_target(mount).rstrip("/") for mount in container.volume_mounts}
    # A pod that mounts its own file over one of ours has its way, as in Kubernetes.
    mounts = [Mount(source, target) for source, target in ready.files if target not in targets]
    mounts += [_volume(mount, ready) for mount in container.volume_mounts]
    if ready.secret_file:
        mounts.append(Mount(ready.launcher, launcher.PROGRAM, read_only=True))
        mounts.append(Mount(ready.secret_file, launcher.ENVIRONMENT, read_only=True))
    return tuple(mounts)


def _not_recursive(container: Container, ready: Prepared) -> dict[str, str]:
    """Return the label that tells which mounts are not as `IfPossible` wished them."""
    paths = [
        mount.mount_path
        for mount in container.volume_mounts
        if mount.recursive_read_only == "IfPossible" and mount.mount_path not in ready.bound
    ]
    return {NOT_RECURSIVE: ":".join(paths)} if paths else {}


def _device(device: VolumeDevice, ready: Prepared) -> Device:
    volume = ready.volumes.get(device.name)
    if volume is None:
        raise ConfigError(f'volume "{device.name}" of device {device.device_path} does not exist')
    if not volume.block:
        raise ConfigError(
            f"volume {device.name} has volumeMode Filesystem, but is specified in volumeDevices"
        )
    return Device(str(volume.path), device.device_path, read_only=volume.read_only)


def _target(mount: VolumeMount) -> str:
    """Return the place of a mount; one that is not absolute begins at the root (makeMounts)."""
    return mount.mount_path if mount.mount_path.startswith("/") else f"/{mount.mount_path}"


def _volume(mount: VolumeMount, ready: Prepared) -> Mount:
    volume = ready.volumes.get(mount.name)
    if volume is None:
        raise ConfigError(f'volume "{mount.name}" of mount {mount.mount_path} does not exist')
    if volume.block:
        raise ConfigError(
            f"volume {mount.name} has volumeMode Block, but is specified in volumeMounts"
        )
    bound = ready.bound.get(mount.mount_path)
    return Mount(
        bound or volume.engine_volume or str(volume.path),
        _target(mount),
        volume=bool(volume.engine_volume) and not bound,
        read_only=mount.read_only or volume.read_only,
        propagation=_PROPAGATION.get(mount.mount_propagation or "", "rprivate"),
    )
