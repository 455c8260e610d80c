"""Files that a pod reads, put in place all at once: Kubernetes' AtomicWriter.

    name    ->  ..data/name
    ..data  ->  ..2026_11_25_12_00_00.a1b2c3d4
    ..2026_11_25_12_00_00.a1b2c3d4/name

`..data` is switched by one rename, so that whoever opens files through it sees the old ones or
the new ones, never a mix. A crash leaves the old or the new state, and rubbish that the next
write removes. Nothing is touched when nothing differs.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.kubelet.volumes.removal import remove_tree

_DATA, _DATA_NEW = "..data", "..data_tmp"
_ROOT_MODE, _FOLDER_MODE = 0o777, 0o755


@dataclass(frozen=True, slots=True, repr=False)
class File:
    """What a file holds, and its permission bits. It has no repr: it may be secret."""

    content: bytes
    mode: int
    owner: int = -1


Payload = Mapping[str, File]
"""Files by their path below the volume."""

_GROUP_READS = 0o440  # Kubernetes' rights of an fsGroup on what it may only read


def write(root: Path, payload: Payload, group: int | None = None) -> bool:
    """Make the volume at `root` hold exactly `payload`; tells whether it had to change.

    `group` is the pod's fsGroup, which then owns the files and may read them.
    """
    _check(payload)
    if not root.exists():
        root.mkdir(parents=True)
        root.chmod(_ROOT_MODE)
    current = _current(root)
    changed = current is None or _state(current) != _wanted(payload, group)
    if changed:
        fresh = root / _name()
        _write_files(fresh, payload, group)
        _switch(root, fresh.name)
    _link(root, payload)
    _clean(root)
    return changed


def _check(payload: Payload) -> None:
    for path in payload:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or parts[0].startswith(".."):
            raise VolumeError(f"invalid path: {path}")


def _name() -> str:
    return f"..{datetime.now(UTC):%Y_%m_%d_%H_%M_%S}.{secrets.token_hex(4)}"


def _write_files(folder: Path, payload: Payload, group: int | None) -> None:
    folder.mkdir()
    folder.chmod(_FOLDER_MODE)
    for path in sorted(payload):
        file = folder / path
        for parent in reversed(file.relative_to(folder).parents[:-1]):
            (folder / parent).mkdir(exist_ok=True)
            (folder / parent).chmod(_FOLDER_MODE)
        _write_file(file, payload[path], group)


def _write_file(file: Path, wanted: File, group: int | None) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(wanted.content)
        if wanted.owner >= 0 or group is not None:
            os.fchown(descriptor, wanted.owner, -1 if group is None else group)
        os.fchmod(descriptor, _mode(wanted, group))


def _mode(wanted: File, group: int | None) -> int:
    return wanted.mode if group is None else wanted.mode | _GROUP_READS


def _current(root: Path) -> Path | None:
    """Return the folder that is shown now."""
    link = root / _DATA
    if not link.is_symlink():
        return None
    shown = root / link.readlink()
    return shown if shown.is_dir() else None


_State = dict[str, tuple[int, int, int, bytes]]
"""Mode, owner, group and content of each file by its path."""


def _state(folder: Path) -> _State:
    found: _State = {}
    for path in folder.rglob("*"):
        known = path.lstat()
        if stat.S_ISREG(known.st_mode):
            mode = stat.S_IMODE(known.st_mode)
            owners = (known.st_uid, known.st_gid)
            found[str(path.relative_to(folder))] = (mode, *owners, path.read_bytes())
    return found


def _wanted(payload: Payload, group: int | None) -> _State:
    mine, others = os.geteuid(), os.getegid() if group is None else group
    return {
        str(PurePosixPath(path)): (
            _mode(file, group),
            mine if file.owner < 0 else file.owner,
            others,
            file.content,
        )
        for path, file in payload.items()
    }


def _switch(root: Path, name: str) -> None:
    new = root / _DATA_NEW
    new.unlink(missing_ok=True)
    new.symlink_to(name)
    new.replace(root / _DATA)


def _link(root: Path, payload: Payload) -> None:
    """Let the names that users see lead through `..data`."""
    names = {PurePosixPath(path).parts[0] for path in payload}
    present = {entry.name for entry in root.iterdir() if not entry.name.startswith("..")}
    for name in sorted(names - present):
        (root / name).symlink_to(f"{_DATA}/{name}")
    for name in sorted(present - names):
        (root / name).unlink()


def _clean(root: Path) -> None:
    """Remove every folder that is not shown: the former one, and what a crash left."""
    shown = _current(root)
    (root / _DATA_NEW).unlink(missing_ok=True)
    for entry in root.iterdir():
        if entry.name.startswith("..") and entry != shown and not entry.is_symlink():
            remove_tree(entry)
