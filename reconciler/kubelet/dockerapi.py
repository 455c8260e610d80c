"""Our types in the words of Docker's API, and its answers in ours. Pure.

Called by `docker.py` only; nothing here speaks to the engine.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

from reconciler.kubelet.runtime import (
    Container,
    ContainerSpec,
    Device,
    EngineVolume,
    Happened,
    Image,
    LocalImage,
    Mount,
    Phase,
    Resources,
    RuntimeFailure,
    Security,
)

T = TypeVar("T")
_MALFORMED = (AttributeError, IndexError, KeyError, OSError, OverflowError, TypeError, ValueError)

LARGEST_FILE = 1 << 20
"""Bytes of a file in an image that is read: lists of users and groups have a few thousand."""

_NEVER = "0001-01-01T00:00:00Z"
_IMAGE_ACTIONS = frozenset({"tag", "untag", "delete", "pull", "import", "load"})
_CONTAINER_ACTIONS: Mapping[str, Any] = {name: name for name in ("start", "die", "oom", "destroy")}
# Kubernetes' own rotation of container logs.
_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
EVENT_FILTERS = {
    "type": ["container", "image"],
    "event": sorted({*_CONTAINER_ACTIONS, *_IMAGE_ACTIONS}),
}


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """Return the body of `POST /containers/create`."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels),
        "Env": [f"{name}={value}" for name, value in spec.environment],
        "WorkingDir": spec.working_dir,
        "User": spec.security.user,
        "Tty": spec.tty,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "HostConfig": host_config(spec),
    }
    if spec.hostname:
        body["Hostname"] = spec.hostname
    if spec.entrypoint is not None:
        body["Entrypoint"] = list(spec.entrypoint)
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    if spec.network == "none":
        # Docker's own "none" network costs its network stack's time; disabling costs nothing.
        body["NetworkDisabled"] = True
    return body


def host_config(spec: ContainerSpec) -> dict[str, Any]:
    """Return the `HostConfig` part: namespaces, mounts, limits, rights."""
    config: dict[str, Any] = {
        "IpcMode": spec.ipc,
        "PidMode": spec.pid,
        # An engine that maps users (userns-remap) would map those of pods that did not ask for it.
        "UsernsMode": "host",
        "OomScoreAdj": spec.oom_score_adj,
        "LogConfig": _LOGS,
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "Devices": [_device(device) for device in spec.devices],
        **_limits(spec.resources),
        **_rights(spec.security),
    }
    if spec.network != "none":
        config["NetworkMode"] = spec.network
    return config


def _mount(mount: Mount) -> dict[str, Any]:
    if mount.tmpfs:
        options = {"SizeBytes": mount.tmpfs_size} if mount.tmpfs_size else {}
        return {"Type": "tmpfs", "Target": mount.target, "TmpfsOptions": options}
    if mount.volume:
        return {
            "Type": "volume",
            "Source": mount.source,
            "Target": mount.target,
            "ReadOnly": mount.read_only,
            "VolumeOptions": {"NoCopy": True},  # Kubernetes never fills one from the image
        }
    bind: dict[str, Any] = {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    }
    # The engine's own default, except for what holds its own folder: that it mounts as a slave
    # when nothing is said, and refuses otherwise.
    if mount.propagation != "rprivate":
        bind["BindOptions"] = {"Propagation": mount.propagation}
    return bind


def _device(device: Device) -> dict[str, Any]:
    return {
        "PathOnHost": device.source,
        "PathInContainer": device.target,
        "CgroupPermissions": "r" if device.read_only else "mrw",
    }


def _limits(resources: Resources) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if resources.memory:
        # Equal values leave no swap, as Kubernetes runs without it.
        limits["Memory"] = limits["MemorySwap"] = resources.memory
    if resources.cpu_shares:
        limits["CpuShares"] = resources.cpu_shares
    if resources.cpu_quota:
        limits["CpuQuota"], limits["CpuPeriod"] = resources.cpu_quota, resources.cpu_period
    return limits


def _rights(security: Security) -> dict[str, Any]:
    options = ["no-new-privileges"] if security.no_new_privileges else []
    if security.seccomp:
        options.append(f"seccomp={security.seccomp}")
    if security.app_armor:
        options.append(f"apparmor={security.app_armor}")
    options += [f"label={part}" for part in security.selinux]
    return {
        "Privileged": security.privileged,
        "CapAdd": list(security.add_capabilities),
        "CapDrop": list(security.drop_capabilities),
        "ReadonlyRootfs": security.read_only_root,
        "GroupAdd": list(security.groups),
        "SecurityOpt": options,
        "Sysctls": dict(security.sysctls),
    }


def _reads(what: str) -> Callable[[Callable[[Mapping[str, Any]], T]], Callable[[Any], T]]:
    """Make a reader raise `RuntimeFailure` on an answer that is not as Docker's API says."""

    def guarded(read: Callable[[Mapping[str, Any]], T]) -> Callable[[Any], T]:
        @wraps(read)
        def reader(answer: Any) -> T:
            try:
                return read(answer)
            except _MALFORMED as error:
                told = f"{type(error).__name__}: {error}"
                raise RuntimeFailure(f"Docker tells {what} in no known form: {told}") from error

        return reader

    return guarded


@_reads("of a container")
def container(answer: Mapping[str, Any]) -> Container:
    """Read the answer of `GET /containers/ID/json`."""
    state, config = answer["State"], answer["Config"]
    created = _time(answer["Created"]) or datetime.fromtimestamp(0, UTC)
    phase = _phase(state)
    finished = _time(state.get("FinishedAt", _NEVER))
    return Container(
        id=answer["Id"],
        name=answer["Name"].removeprefix("/"),
        phase=phase,
        labels=config.get("Labels") or {},
        image=config.get("Image", ""),
        image_id=answer.get("Image", ""),
        created=created,
        started=_time(state.get("StartedAt", _NEVER)),
        finished=(finished or created) if phase == "exited" else None,
        exit_code=state.get("ExitCode", 0),
        oom_killed=state.get("OOMKilled", False),
        error=state.get("Error", ""),
        pid=state.get("Pid", 0),
    )


def _phase(state: Mapping[str, Any]) -> Phase:
    # Docker leaves a container that it could not start as "created", with an exit code.
    status = state.get("Status", "")
    if status in ("running", "paused", "restarting"):
        return "running"
    return "created" if status == "created" and not state.get("ExitCode") else "exited"


def _time(text: str) -> datetime | None:
    return None if text.startswith("0001-") else datetime.fromisoformat(text).astimezone(UTC)


@_reads("of a volume")
def volume(row: Mapping[str, Any]) -> EngineVolume:
    """Read one row of `GET /volumes`."""
    options = tuple(sorted((row.get("Options") or {}).items()))
    return EngineVolume(row["Name"], row["Driver"], options, row.get("Labels") or {})


@_reads("of an image")
def local_image(row: Mapping[str, Any]) -> LocalImage:
    """Read one row of `GET /images/json`; where a name is missing the engine says <none>."""
    names = (*(row.get("RepoTags") or ()), *(row.get("RepoDigests") or ()))
    return LocalImage(tuple(name for name in names if "<none>" not in name), row.get("Size", 0))


@_reads("of an image")
def image(answer: Mapping[str, Any]) -> Image:
    """Read the answer of `GET /images/NAME/json`."""
    config = answer.get("Config") or {}
    digests = answer.get("RepoDigests") or []
    return Image(
        id=answer["Id"],
        digest=digests[0] if digests else "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User", ""),
        stop_signal=config.get("StopSignal", ""),
        environment=tuple(config.get("Env") or ()),
        size=answer.get("Size", 0),
    )


@_reads("an event")
def happened(event: Mapping[str, Any]) -> Happened | None:
    """Read one line of `GET /events`; None for what nobody asked about."""
    action, actor = event.get("Action", ""), event.get("Actor", {})
    attributes = actor.get("Attributes") or {}
    if event.get("Type") == "image" and action in _IMAGE_ACTIONS:
        return Happened("image", id=attributes.get("name", actor.get("ID", "")))
    if event.get("Type") != "container" or action not in _CONTAINER_ACTIONS:
        return None
    return Happened(
        _CONTAINER_ACTIONS[action],
        id=actor["ID"],
        labels=attributes,
        exit_code=int(attributes.get("exitCode", 0)),
        at=datetime.fromtimestamp(event.get("timeNano", 0) / 1e9, UTC),
    )


@_reads("of its security")
def security_names(info: Mapping[str, Any]) -> frozenset[str]:
    """Read `SecurityOptions` of `GET /info`: "name=seccomp,profile=default" is "seccomp"."""
    options = info.get("SecurityOptions") or ()
    return frozenset(option.removeprefix("name=").partition(",")[0] for option in options)


def only_file(pieces: Iterable[bytes]) -> bytes:
    """Return the content of the one file of a tar, which comes in pieces; empty without one.

    What is in it, an image says: raises `RuntimeFailure` for more than `LARGEST_FILE` bytes, of
    which no more than that is held, and for what is no tar.
    """
    archive = bytearray()
    for piece in pieces:
        archive += piece
        if len(archive) > LARGEST_FILE + 2 * tarfile.RECORDSIZE:
            raise RuntimeFailure(f"a file of the image has more than {LARGEST_FILE} bytes")
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                found = tar.extractfile(member) if member.isfile() else None
                if found is not None:
                    return found.read(LARGEST_FILE)
    except (tarfile.TarError, *_MALFORMED) as error:
        raise RuntimeFailure(f"Docker tells of a file in no known form: {error}") from error
    return b""
