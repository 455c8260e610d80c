"""The kernel's file and mount calls that Python does not have. The only user of ctypes here.

Called by the other files of this folder, on threads. Linux 5.12 or newer; every failure is an
`OSError`.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

# System call numbers above 423 are the same on every architecture.
_OPEN_TREE, _MOVE_MOUNT, _OPENAT2, _MOUNT_SETATTR = 428, 429, 437, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_CLONE, _CLOEXEC = 1, os.O_CLOEXEC
_MOVE_FROM_DESCRIPTOR = 4
_ATTR_RDONLY = 1
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_MS_NOSUID, _MS_NODEV = 2, 4
_TRIES = 100

NO_XDEV, NO_SYMLINKS, BENEATH, IN_ROOT = 1, 4, 8, 16
_NO_MAGICLINKS = 2

_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


def open_below(folder: int, path: str, flags: int, *, resolve: int = BENEATH) -> int:
    """Open `path` below the open `folder`; nothing on the way may lead out of it (openat2).

    Neither `..`, nor an absolute or magic link does, whoever moves folders meanwhile. With
    IN_ROOT the folder is what `/` means on the way, as in a chroot.
    """
    bound = resolve if resolve & IN_ROOT else resolve | BENEATH
    how = _How(flags | os.O_CLOEXEC, 0, bound | _NO_MAGICLINKS)
    for _ in range(_TRIES):
        try:
            return _call(_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        except BlockingIOError:  # a folder was renamed meanwhile: the kernel cannot be sure
            continue
    raise OSError(errno.EAGAIN, "the folders on the way are moved all the time", path)


def bind(source: int, target: Path, *, read_only: bool = False) -> None:
    """Show the open file or folder `source`, with all mounts below it, at `target` as well.

    `read_only` holds for every mount below it, too. The source is the opened one itself: no name
    is looked up again.
    """
    flags = _CLONE | _CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE
    tree = _call(_OPEN_TREE, source, b"", flags)
    try:
        if read_only:
            wanted = _Attributes(_ATTR_RDONLY, 0, 0, 0)
            size = ctypes.sizeof(wanted)
            flags = _AT_EMPTY_PATH | _AT_RECURSIVE
            _call(_MOUNT_SETATTR, tree, b"", flags, ctypes.byref(wanted), size)
        place = os.fsencode(target)
        _call(_MOVE_MOUNT, tree, b"", _AT_FDCWD, place, _MOVE_FROM_DESCRIPTOR)
    finally:
        os.close(tree)


def mount(kind: str, target: Path, options: str) -> None:
    """Mount a file system of `kind` that has no device."""
    arguments = (b"reconciler", os.fsencode(target), kind.encode())
    if _libc.mount(*arguments, _MS_NOSUID | _MS_NODEV, options.encode()):
        _fail()


def unmount(target: Path) -> None:
    """Take the topmost mount at `target` away; who still uses it keeps it until then."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW):
        _fail()


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        _fail()
    return result


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
