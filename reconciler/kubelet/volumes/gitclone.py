"""One bounded run of `git` on a repository that nobody trusts. Called by `gitrepo.py`.

docs/security/gitrepo.md lists what is kept out here, and how.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.model.volume import GitRepoVolumeSource

_TRANSPORTS = ("https", "ssh", "git")
_SCP_LIKE = re.compile(r"[\w.+-]+@[\w.-]+:(?!//)[^\s]+")
_CREDENTIALS = re.compile(r"(://)[^/@\s]+@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOOK_EVERY = 0.25
_LEAST_OF_AN_ENTRY = 4096
_TAIL = 500
# Nothing of the repository, the host's configuration or the daemon's environment runs a program.
_OPTIONS = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "credential.helper=",
    "-c", "submodule.recurse=false",
    "-c", "fetch.recurseSubmodules=false",
    "-c", "core.protectHFS=true",
    "-c", "core.protectNTFS=true",
)  # fmt: skip
_SSH = (
    "ssh -F /dev/null -oBatchMode=yes -oStrictHostKeyChecking=yes -oClearAllForwardings=yes "
    "-oPermitLocalCommand=no -oForwardAgent=no"
)


@dataclass(frozen=True, slots=True)
class GitLimits:
    """What a clone may take: seconds, bytes on the disk; `file` permits paths of this host."""

    seconds: float = 300.0
    size: int = 1 << 30
    file: bool = False


def check(source: GitRepoVolumeSource, limits: GitLimits) -> None:
    """Refuse what could be an option, a strange transport or a way out. Raises `VolumeError`."""
    fields = (
        ("repository", source.repository),
        ("revision", source.revision),
        ("directory", source.directory),
    )
    for name, value in fields:
        if value.startswith("-"):
            # Kubernetes' validateNonFlagArgument
            raise VolumeError(f'invalid {name}: "{value}" may not begin with "-"')
        if _CONTROL.search(value):
            raise VolumeError(f"invalid {name}: it has control characters")
    if "/" in source.directory or source.directory == "..":
        raise VolumeError(f'invalid directory: "{source.directory}" must be one segment')
    kind = _transport(source.repository)
    if kind not in (*_TRANSPORTS, *(("file",) if limits.file else ())):
        known = ", ".join(_TRANSPORTS)
        raise VolumeError(
            f"invalid repository: {shown(source.repository)}: its transport must be one of {known}"
            f"{'' if limits.file else ' (and file where the setting git_repo_file permits it)'}"
        )


def _transport(repository: str) -> str:
    if "::" in repository:
        return "helper"
    if "://" in repository:
        parts = urlsplit(repository)
        host = parts.netloc.rpartition("@")[2]
        return "option" if host.startswith("-") else parts.scheme
    if _SCP_LIKE.fullmatch(repository):
        return "ssh"
    return "file"


def shown(text: str) -> str:
    """Return a text without the credentials of its URLs."""
    return _CREDENTIALS.sub(r"\1***@", text)


async def clone(source: GitRepoVolumeSource, tree: Path, limits: GitLimits) -> None:
    """Do as Kubernetes' git_repo plugin: clone, checkout, reset. Raises `VolumeError`.

    Without a revision the clone is all; `directory` "." clones into `tree` itself.
    """
    check(source, limits)
    try:
        async with asyncio.timeout(limits.seconds):
            target = [source.directory] if source.directory else []
            command = ("clone", "--template=", "--no-recurse-submodules", "--")
            await _git((*command, source.repository, *target), tree, tree, limits)
            if source.revision:
                folder = _cloned(source, tree)
                await _git(("checkout", source.revision, "--"), folder, tree, limits)
                await _git(("reset", "--hard"), folder, tree, limits)
    except TimeoutError as error:
        raise VolumeError(f"git took longer than {limits.seconds:g} s") from error


def _cloned(source: GitRepoVolumeSource, tree: Path) -> Path:
    if source.directory == ".":
        return tree
    found = list(tree.iterdir())
    if len(found) != 1 or found[0].is_symlink():
        raise VolumeError(f"unexpected directory contents: {sorted(p.name for p in found)}")
    return found[0]


async def _git(arguments: tuple[str, ...], folder: Path, tree: Path, limits: GitLimits) -> None:
    process = await asyncio.create_subprocess_exec(
        "prlimit", f"--fsize={limits.size}", "--core=0", "--", "git", *_OPTIONS, *arguments,
        cwd=folder,
        env=environment(limits),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    talk = asyncio.create_task(_tail(process))
    try:
        while not (await asyncio.wait({talk}, timeout=_LOOK_EVERY))[0]:
            await _weigh(tree, limits)
        code = await process.wait()
        await _weigh(tree, limits)
    finally:
        talk.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.gather(talk, return_exceptions=True)
    if code:
        words = shown(talk.result().decode(errors="replace")).strip()
        raise VolumeError(f"failed to exec 'git {arguments[0]}': exit status {code}: {words}")


async def _tail(process: asyncio.subprocess.Process) -> bytes:
    """Read what git says to its end; keep the last of it."""
    last = b""
    if process.stderr is not None:
        while chunk := await process.stderr.read(1 << 12):
            last = (last + chunk)[-_TAIL:]
    return last


def environment(limits: GitLimits) -> dict[str, str]:
    """Return git's whole environment: nothing of the daemon's own is passed on."""
    transports = (*_TRANSPORTS, *(("file",) if limits.file else ()))
    return {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_ALLOW_PROTOCOL": ":".join(transports),
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_SSH_COMMAND": _SSH,
    }


async def _weigh(tree: Path, limits: GitLimits) -> None:
    used = await asyncio.to_thread(weight, tree, limits.size)
    if used > limits.size:
        raise VolumeError(f"the repository is larger than {limits.size} bytes")


def weight(folder: Path, enough: int) -> int:
    """Return the bytes that a growing tree takes on the disk; stops counting past `enough`."""
    total, waiting = 0, [folder]
    while waiting and total <= enough:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    blocks = entry.stat(follow_symlinks=False).st_blocks * 512
                    total += max(blocks, _LEAST_OF_AN_ENTRY)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
    return total
