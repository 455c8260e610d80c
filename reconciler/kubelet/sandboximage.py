"""The sandbox's image, made from the checked-in program without any registry. Pure.

Called by the kubelet at its start; the program itself is explained in `pause/pause.c`.
"""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
from functools import cache
from importlib.resources import files

REPOSITORY = "reconciler/pause"
COMMAND = ("/pause",)

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@cache
def program(machine: str = "") -> bytes:
    """Return the static program for `machine` (this host's by default); `KeyError` if unknown."""
    architecture = _ARCHITECTURES[machine or platform.machine()]
    return (files("reconciler.kubelet") / "pause" / f"pause-{architecture}").read_bytes()


def image_name(machine: str = "") -> str:
    """Return the image's name; its tag is the program's hash, so that a new program has its own."""
    return f"{REPOSITORY}:{hashlib.sha256(program(machine)).hexdigest()[:12]}"


def root_tar(machine: str = "") -> bytes:
    """Return the image's file system: the program and the folders that Docker mounts upon."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in ("dev", "etc", "proc", "sys"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("pause")
        entry.mode, entry.size = 0o755, len(program(machine))
        archive.addfile(entry, io.BytesIO(program(machine)))
    return buffer.getvalue()
