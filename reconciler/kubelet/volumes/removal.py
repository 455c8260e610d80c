"""Removes a folder that belongs to a pod, whatever the pod made of it.

A tree of any depth is removed with two open folders and without recursion, and nothing but the
tree: no symbolic link is followed, and the kernel is told to enter no mount.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from reconciler.kubelet.volumes.mounts import unmount_below
from reconciler.kubelet.volumes.syscalls import NO_SYMLINKS, NO_XDEV, open_below

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def remove_tree(folder: Path) -> None:
    """Unmount what is mounted below `folder`, then remove it; absence is success.

    Raises `OSError` when something stays; doing it again goes on.
    """
    if not folder.exists():
        return
    unmount_below(folder)
    top = os.open(folder, _FOLDER | os.O_CLOEXEC)
    try:
        names = _names()
        while _clear(top, names):
            pass
    finally:
        os.close(top)
    folder.rmdir()


def _names() -> Iterator[str]:
    token = secrets.token_hex(8)
    return (f"..{token}-{number}" for number in count())


def _clear(top: int, names: Iterator[str]) -> bool:
    """Remove what is in `top` now, and lift the folders of its folders into it."""
    found = False
    with os.scandir(top) as entries:
        for entry in entries:
            found = True
            if entry.is_dir(follow_symlinks=False):
                _lift(top, entry.name, names)
            else:
                os.unlink(entry.name, dir_fd=top)
    return found


def _lift(top: int, name: str, names: Iterator[str]) -> None:
    folder = open_below(top, name, _FOLDER, resolve=NO_XDEV | NO_SYMLINKS)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    os.rename(entry.name, next(names), src_dir_fd=folder, dst_dir_fd=top)
                else:
                    os.unlink(entry.name, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)
