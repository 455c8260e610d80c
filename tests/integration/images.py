"""Images for tests, made from this host's static busybox without any registry."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

BUSYBOX = "reconciler-test/busybox:2"
_APPLETS = (
    *("sh", "sleep", "cat", "echo", "env", "false", "hostname", "httpd", "id", "kill", "ls"),
    *("mkdir", "nc", "nslookup", "printf", "ps", "rm", "tar", "test", "touch", "true", "wget"),
)


def busybox_root() -> bytes:
    """Return a tar with /bin/busybox, its applets as links, and the usual folders."""
    program = Path("/bin/busybox").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "dev", "etc", "proc", "sys", "tmp", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.mode, entry.size = 0o755, len(program)
        archive.addfile(entry, io.BytesIO(program))
        for applet in _APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return buffer.getvalue()


def ensure_busybox(name: str = BUSYBOX) -> str:
    """Make the image unless it is there; return its name."""
    there = subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False)
    if there.returncode:
        subprocess.run(
            ["docker", "import", "-", name], input=busybox_root(), check=True, capture_output=True
        )
    return name
