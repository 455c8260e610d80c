"""Mounts of a part of a volume, and mounts that are read-only to the last mount below them.

Called by the starter for one container at a time. What a mount asks for is bound to a place of
ours in the run directory first, and the engine is given that place: between check and use there
is no name that a pod could swap. Kubernetes' subpath package; a link that leads out of the volume
is refused here by the kernel (openat2).
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath

from reconciler.kubelet.env import ConfigError, Environment
from reconciler.kubelet.expansion import expand
from reconciler.kubelet.volumes import syscalls
from reconciler.kubelet.volumes.mounts import unmount_below
from reconciler.kubelet.volumes.protocol import Ready, VolumeError
from reconciler.model.container import VolumeMount

_PATH = getattr(os, "O_PATH", 0)
_RECURSIVE = ("Enabled", "IfPossible")
_EXDEV = errno.EXDEV  # what the kernel says of a path that leaves its root


def sub_path(mount: VolumeMount, variables: Environment) -> str:
    """Return the path inside the volume, "" for the whole of it. Pure; raises `ConfigError`."""
    if not mount.sub_path_expr:
        return mount.sub_path
    found = expand(mount.sub_path_expr, lambda name: _value(name, mount, variables))
    if PurePosixPath(found).is_absolute():
        raise ConfigError(f"error SubPath `{found}` must not be an absolute path")
    if ".." in PurePosixPath(found).parts:
        raise ConfigError(f"unable to provision SubPath `{found}`: must not contain '..'")
    return found


def _value(name: str, mount: VolumeMount, variables: Environment) -> str:
    if name in variables.secret:
        raise ConfigError(
            f"subPathExpr of mount {mount.mount_path}: $({name}) comes from a Secret, which a "
            "path on the disk would show"
        )
    if name not in variables.variables:
        raise ConfigError(
            f"subPathExpr of mount {mount.mount_path}: missing value for variable {name}"
        )
    return variables.variables[name]


def needs_binding(mount: VolumeMount, inside: str) -> bool:
    """Tell whether the engine cannot mount the volume's own path."""
    return bool(inside) or mount.recursive_read_only in _RECURSIVE


def bind(volume: Ready, mount: VolumeMount, inside: str, target: Path) -> Path | None:
    """Bind what the mount asks for to `target`, anew if it is there; returns it.

    None says that the volume itself is to be mounted: it cannot be had read-only to its last
    mount, and that was only wished for. Raises `VolumeError` and `OSError`.
    """
    if volume.path is None or volume.foreign:
        if mount.recursive_read_only == "IfPossible" and not inside:
            return None
        raise VolumeError("its files are not seen from here: no subPath, no recursiveReadOnly")
    source = _open(volume.path, inside)
    try:
        _make_target(target, folder=stat.S_ISDIR(os.fstat(source).st_mode))
        syscalls.bind(source, target, read_only=mount.recursive_read_only in _RECURSIVE)
    finally:
        os.close(source)
    return target


def _open(volume: Path, inside: str) -> int:
    """Open the sub-path, made with the volume's own mode where it does not exist."""
    root = os.open(volume, _PATH | os.O_CLOEXEC)
    if not inside:
        return root
    try:
        mode = stat.S_IMODE(os.fstat(root).st_mode)
        parts = PurePosixPath(inside).parts
        for count in range(1, len(parts)):
            os.close(_open_or_make(root, parts[:count], mode))
        return _open_or_make(root, parts, mode)
    except OSError as error:
        reason = "it leads out of the volume" if _escapes(error) else error.strerror
        raise VolumeError(f'subPath "{inside}": {reason}') from error
    finally:
        os.close(root)


def _escapes(error: OSError) -> bool:
    return error.errno == _EXDEV


def _open_or_make(root: int, parts: tuple[str, ...], mode: int) -> int:
    try:
        return syscalls.open_below(root, "/".join(parts), _PATH)
    except FileNotFoundError:
        _make(root, parts, mode)
    return syscalls.open_below(root, "/".join(parts), _PATH | os.O_NOFOLLOW)


def _make(root: int, parts: tuple[str, ...], mode: int) -> None:
    parent = syscalls.open_below(root, "/".join(parts[:-1]) or ".", _PATH | os.O_DIRECTORY)
    try:
        os.mkdir(parts[-1], mode=0o700, dir_fd=parent)
        made = syscalls.open_below(parent, parts[-1], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    finally:
        os.close(parent)
    try:
        os.fchmod(made, mode)  # whatever our own umask is
    finally:
        os.close(made)


def _make_target(target: Path, *, folder: bool) -> None:
    """Make an empty file or folder to mount upon; what an earlier start left there goes."""
    unmount_below(target)
    if target.exists() and target.is_dir() != folder:
        target.rmdir() if target.is_dir() else target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    if folder:
        target.mkdir(exist_ok=True)
    else:
        target.touch()
