"""Gives a volume to the pod's fsGroup: Kubernetes' SetVolumeOwnership.

Called on a thread by the kinds of volume that Kubernetes manages so: emptyDir, gitRepo, secret,
configMap, downwardAPI, projected, and block or local storage of a single writer. hostPath and
network file systems keep their owners.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from reconciler.model.pod import Pod

_READ_WRITE, _READ_ONLY, _EXECUTE = 0o660, 0o440, 0o110


def fs_group(pod: Pod) -> int | None:
    """Return the group that volumes of the pod belong to, if any."""
    context = pod.spec.security_context
    return context.fs_group if context else None


def give_to_group(
    root: Path, pod: Pod, *, read_only: bool = False, persistent: bool = False
) -> None:
    """Give everything below `root` (and it) to the pod's fsGroup; nothing happens without one.

    Group rights are added to what is there, and folders hand the group on. Symbolic links are
    never followed. In `persistent` volumes fsGroupChangePolicy OnRootMismatch leaves all as it is
    when the root folder is right already: large ones would take long.
    """
    group = fs_group(pod)
    if group is None:
        return
    if persistent and _only_on_mismatch(pod) and _is_right(root, group, read_only=read_only):
        return
    for folder, folders, names, descriptor in os.fwalk(root, follow_symlinks=False):
        del folder
        _give(descriptor, group, read_only=read_only)
        for name in names + [each for each in folders if _is_link(each, descriptor)]:
            _give_entry(name, descriptor, group, read_only=read_only)


def _only_on_mismatch(pod: Pod) -> bool:
    context = pod.spec.security_context
    return context is not None and context.fs_group_change_policy == "OnRootMismatch"


def _is_right(root: Path, group: int, *, read_only: bool) -> bool:
    """Kubernetes' requiresPermissionChange, the other way round."""
    known = root.lstat()
    wanted = (_READ_ONLY if read_only else _READ_WRITE) | _EXECUTE | stat.S_ISGID
    mode = stat.S_IMODE(known.st_mode)
    return stat.S_ISDIR(known.st_mode) and known.st_gid == group and mode & wanted == wanted


def _is_link(name: str, parent: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _give_entry(name: str, parent: int, group: int, *, read_only: bool) -> None:
    kind = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    os.chown(name, -1, group, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISREG(kind):
        return
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError:
        return  # it was swapped meanwhile: nothing outside may be touched
    try:
        _give(descriptor, group, read_only=read_only)
    finally:
        os.close(descriptor)


def _give(descriptor: int, group: int, *, read_only: bool) -> None:
    known = os.fstat(descriptor)
    mode = stat.S_IMODE(known.st_mode) | (_READ_ONLY if read_only else _READ_WRITE)
    if stat.S_ISDIR(known.st_mode):
        mode |= stat.S_ISGID | _EXECUTE
    os.fchown(descriptor, -1, group)
    os.fchmod(descriptor, mode)
