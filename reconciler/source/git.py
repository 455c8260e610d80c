"""Git, as blocking calls: the only module that imports GitPython.

Called by `branch.py` on a worker thread. Each call is one `git` process with a time-out, without
prompts, hooks or the repository's own choice of programs; only plumbing commands are used, which
run nothing that a hostile repository could configure.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import git

from reconciler.source.access import Access
from reconciler.source.address import Address, is_bad_ref, redact
from reconciler.source.exchange import TooLong, TooMuch, exchange
from reconciler.source.gitobjects import Commit, TreeEntry, answers, parse_commit, records
from reconciler.source.mirror import FETCHED, clear_remains
from reconciler.source.semver import highest
from reconciler.source.snapshot import SourceError
from reconciler.source.trust import trusted

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GNUPGHOME": "/nonexistent",
}
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "safe.directory=*",  # named by the user; only plumbing reads it
    "protocol.ext.allow=never",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=20",
    "gc.autoDetach=false",
    "core.bigFileThreshold=16m",
)
MAX_BYTES = 4 * 1024**3
"""The largest file that git may write for a repository: its objects come in one."""

_MAX_OUTPUT = 256 * 1024 * 1024
_CHUNK = 1 << 16
_NOT_ALONE = re.compile("not our ref|unadvertised object|not found in|does not allow")
_OVERSIZED = re.compile("died of signal 25|File too large")


class GitRepository:
    """One repository on this host: the user's own, which is only read, or our mirror."""

    def __init__(self, git_dir: Path, timeout: float, access: Access | None = None) -> None:
        self.git_dir = git_dir
        self._max_bytes = MAX_BYTES
        self._starting = threading.Lock()
        self._timeout = timeout
        self._access = access or Access()
        # GitPython ends a process whose wrapper is collected: hold both.
        self._running: dict[subprocess.Popen[bytes], git.Git.AutoInterrupt] = {}
        self._git = git.Git(str(git_dir if git_dir.is_dir() else git_dir.parent))

    @classmethod
    def discover(cls, path: Path, timeout: float, access: Access | None = None) -> GitRepository:
        """Open the repository at `path`: a work tree, a bare one or a linked one.

        Raises `SourceError` if there is none.
        """
        if not path.is_dir():
            raise SourceError("SourceMissing", f"repository {path} does not exist")
        probe = cls(path, timeout)
        for candidate in (path / ".git", path):
            arguments = [f"--git-dir={candidate}", "rev-parse", "--absolute-git-dir"]
            with suppress(SourceError):
                found = probe._run(arguments, "RepositoryMissing", bare=True)
                return cls(Path(os.fsdecode(found.rstrip(b"\n"))), timeout, access)
        raise SourceError("RepositoryMissing", f"{path} is not a Git repository")

    @classmethod
    def mirror(cls, git_dir: Path, timeout: float, access: Access | None = None) -> GitRepository:
        """Open the bare mirror at `git_dir`; make it when it is not there."""
        if not (git_dir / "HEAD").exists():
            git_dir.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            arguments = ["init", "--quiet", "--bare", "--template=", str(git_dir)]
            maker = cls(git_dir, timeout)
            maker._run(arguments, "MirrorFailed", bare=True)
        return cls(git_dir, timeout, access)

    def common_dir(self) -> Path:
        """Return where the refs are: another place than `git_dir` for a linked work tree."""
        found = os.fsdecode(self._run(["rev-parse", "--git-common-dir"], "RepositoryMissing"))
        return self.git_dir.joinpath(found.rstrip("\n"))

    def fetch(self, address: Address, *, known: str = "") -> None:
        """Bring the tip of the branch of a remote repository to `FETCHED`.

        The first fetch is shallow, unless a commit is `known` that the mirror has not; later ones
        bring what came since, so that a rewritten history can be told. Raises `SourceError`:
        `BranchMissing`, `TooLarge` or `Unreachable`.
        """
        clear_remains(self.git_dir)
        with self._access.environment(address.location) as environment:
            self._fetch(address, environment, known)

    def _fetch(self, address: Address, environment: Mapping[str, str], known: str) -> None:
        whole = self.has(FETCHED) or (known and not self.has(known))
        depth = [] if whole else ["--depth=1"]
        ref = self._version(address, environment) if address.semver else address.ref
        arguments = [
            "fetch", "--quiet", "--force", "--no-tags", "--no-auto-gc", "--no-write-fetch-head",
            "--no-recurse-submodules", *depth, "--end-of-options",
            address.location, f"{ref}:{FETCHED}",
        ]  # fmt: skip
        try:
            self._run(arguments, "Unreachable", environment=environment)
        except SourceError as error:
            if "find remote ref" not in error.message and "not our ref" not in error.message:
                raise
            message = f"{address.branch_shown} does not exist in {address.shown}"
            raise SourceError("BranchMissing", message) from error

    def fetch_commit(self, url: str, commit: str) -> None:
        """Bring one commit of the repository at `url` here, alone where the server gives it so.

        Raises `SourceError`.
        """
        options = ["fetch", "--quiet", "--force", "--no-tags", "--no-auto-gc",
                   "--no-write-fetch-head", "--no-recurse-submodules"]  # fmt: skip
        alone = ["--depth=1", "--end-of-options", url, f"{commit}:{FETCHED}"]
        whole = ["--end-of-options", url, "+refs/heads/*:refs/reconciler/heads/*"]
        with self._access.environment(url) as environment:
            try:
                self._run([*options, *alone], "Unreachable", environment=environment)
            except SourceError as error:
                if not _NOT_ALONE.search(error.message):
                    raise
                self._run([*options, *whole], "Unreachable", environment=environment)

    def submodule_urls(self, tree: str) -> dict[str, str]:
        """Return the addresses in the `.gitmodules` of a tree, by path. Nothing else is read."""
        place = [f"--git-dir={self.git_dir}", "config", f"--blob={tree}:.gitmodules", "-z"]
        status, listed, _ = self._execute(
            [*place, "--get-regexp", r"^submodule\..*\.(path|url)$"], None
        )
        found: dict[str, dict[str, str]] = {}
        for entry in records(listed) if status == 0 else ():
            key, _, value = entry.partition("\n")
            name, _, what = key.rpartition(".")
            found.setdefault(name, {})[what] = value
        return {each["path"]: each.get("url", "") for each in found.values() if "path" in each}

    def version_here(self, address: Address) -> str:
        """Return the tag of this repository with the highest version in the address' range."""
        listed = self._run(["for-each-ref", "--format=%(refname)", "refs/tags"], "Unreadable")
        return _highest(listed.decode("utf-8", "replace").split(), address)

    def _version(self, address: Address, environment: Mapping[str, str]) -> str:
        arguments = ["ls-remote", "--tags", "--refs", "--end-of-options", address.location]
        listed = self._run(arguments, "Unreachable", bare=True, environment=environment)
        return _highest(listed.decode("utf-8", "replace").split()[1::2], address)

    def check_signature(self, ref: str) -> None:
        """Raise `SourceError` unless a trusted key signed the tag at `ref`, or its commit."""
        if not self._access.signed:
            return
        with trusted(self._access, self._timeout) as keys:
            config = ["-c", f"gpg.ssh.allowedSignersFile={keys.signers}"]
            place = [*config, f"--git-dir={self.git_dir}"]
            tagged = self._run(["cat-file", "-t", ref], "Unreadable").strip() == b"tag"
            for verb in ("verify-tag", "verify-commit") if tagged else ("verify-commit",):
                arguments = [*place, verb, ref if verb == "verify-tag" else f"{ref}^{{commit}}"]
                status, _, _ = self._execute(arguments, None, {"GNUPGHOME": str(keys.home)})
                if status == 0:
                    return
        raise SourceError(
            "SignatureInvalid", "the revision has no valid signature of a key that is trusted"
        )

    def kill(self) -> None:
        """End the git processes that run now; called from another thread to close."""
        with self._starting:  # one that was started is known by then
            for process in tuple(self._running):
                _kill(process)

    def is_whole(self) -> bool:
        """Return whether all that the refs need is there; reads every commit and tree."""
        arguments = ["fsck", "--connectivity-only", "--no-dangling", "--no-progress"]
        status, _, _ = self._execute([f"--git-dir={self.git_dir}", *arguments], None)
        return status == 0

    def tidy(self) -> None:
        """Pack the mirror when it has grown."""
        self._run(["gc", "--auto", "--quiet"], "MirrorFailed")

    def has(self, ref: str) -> bool:
        """Return whether `ref` names an object here."""
        return not self._batch("--batch-check", [ref]).rstrip().endswith(b"missing")

    def commit(self, ref: str, sub_path: str) -> Commit | None:
        """Return the commit that `ref` names now, or `None` when there is no such ref."""
        (answer,) = answers(self._batch("--batch", [f"{ref}^{{commit}}"]))
        if answer.kind != "commit":
            return None
        found = parse_commit(answer)
        return replace(found, tree=self._tree_at(found.id, sub_path)) if sub_path else found

    def _tree_at(self, commit: str, path: str) -> str:
        """Return the tree at `path`, "" if there is no folder; its content may be long."""
        words = (
            self._batch("--batch-check", [f"{commit}:{path}"]).decode("utf-8", "replace").split()
        )
        return words[0] if words[1:2] == ["tree"] and len(words) == 3 else ""  # noqa: PLR2004 - id, type, size

    def is_ancestor(self, old: str, new: str) -> bool:
        """Return whether `new` builds on `old`, so that no history was rewritten."""
        arguments = [f"--git-dir={self.git_dir}", "merge-base", "--is-ancestor", old, new]
        status, _, _ = self._execute(arguments, None)
        return status == 0

    def tree(self, tree: str) -> list[TreeEntry]:
        """Return every file below `tree`, with its size."""
        listing = self._run(["ls-tree", "-r", "-z", "-l", "--full-tree", tree], "Unreadable")
        entries = []
        for line in records(listing):
            facts, _, path = line.partition("\t")
            mode, _, blob, size = facts.split()
            entries.append(TreeEntry(path, mode, blob, int(size) if size != "-" else 0))
        return entries

    def changes(self, old: str, new: str) -> tuple[list[TreeEntry], list[str]]:
        """Return the files of tree `new` that differ from `old`, and the paths that are gone."""
        raw = self._run(["diff-tree", "-r", "-z", "--no-renames", old, new], "Unreadable")
        fields = list(records(raw))
        changed, gone = [], []
        for facts, path in zip(fields[::2], fields[1::2], strict=True):
            _, mode, _, blob, status = facts.split()
            if status == "D":
                gone.append(path)
            else:
                changed.append((path, mode, blob))
        sizes = self._sizes([blob for _, _, blob in changed])
        return [TreeEntry(*entry, size) for entry, size in zip(changed, sizes, strict=True)], gone

    def blobs(self, ids: Sequence[str]) -> Iterable[bytes]:
        """Yield the contents of the blobs, in order."""
        for wanted, answer in zip(ids, answers(self._batch("--batch", ids)), strict=True):
            if answer.kind != "blob":
                raise SourceError("Unreadable", f"object {wanted} is missing in {self.git_dir}")
            yield answer.content

    def _sizes(self, ids: Sequence[str]) -> list[int]:
        lines = self._batch("--batch-check", ids).decode().splitlines()
        words = [line.split() for line in lines]
        return [int(each[2]) if len(each) == 3 and each[1] == "blob" else 0 for each in words]  # noqa: PLR2004 - id, type, size

    def _batch(self, mode: str, objects: Sequence[str]) -> bytes:
        """Ask one `git cat-file` for many objects, named one a line."""
        if not objects:
            return b""
        names = "".join(f"{name}\n" for name in objects).encode("utf-8", "surrogateescape")
        return self._run(["cat-file", mode], "Unreadable", stdin=names)

    def _run(
        self,
        arguments: list[str],
        reason: str,
        *,
        bare: bool = False,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return what git prints; raises `SourceError(reason)` with git's words if it fails."""
        place = [] if bare else [f"--git-dir={self.git_dir}"]
        status, output, errors = self._execute([*place, *arguments], stdin, environment)
        if status != 0 and _OVERSIZED.search(errors):
            message = f"the repository needs a file of more than {self._max_bytes} bytes"
            raise SourceError("TooLarge", message)
        if status != 0:
            raise SourceError(reason, _first_line(errors))
        return output

    def _execute(
        self,
        arguments: list[str],
        stdin: bytes | None,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes, str]:
        with self._starting:
            process = self._start(arguments, stdin is not None, environment or {})
        try:
            output, errors = exchange(process, stdin or b"", self._timeout, _MAX_OUTPUT)
        except TooLong as error:
            _end(process)
            message = f"git did not end within {self._timeout:g} s"
            raise SourceError("TimedOut", message) from error
        except TooMuch as error:
            _end(process)
            message = f"git lists more than {_MAX_OUTPUT} bytes of names"
            raise SourceError("TooManyFiles", message) from error
        finally:
            self._running.pop(process, None)
        return process.returncode, output, errors.decode("utf-8", "replace")

    def _start(
        self, arguments: list[str], with_input: bool, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start git in a session of its own, so that its transport helpers die with it."""
        config = [word for pair in _CONFIG for word in ("-c", pair)]
        try:
            started = self._git.execute(
                ["git", *config, *arguments],
                istream=subprocess.PIPE if with_input else None,
                env={**_ENVIRONMENT, **environment},
                as_process=True,
                start_new_session=True,
            )
        except git.GitCommandNotFound as error:
            raise SourceError("GitMissing", "the program git is not installed") from error
        except OSError as error:
            raise SourceError("GitFailed", f"cannot run git: {error}") from error
        process = started.proc
        if process is None:
            raise SourceError("GitFailed", "git did not start")
        self._running[process] = started
        with suppress(ProcessLookupError):  # before it starts its helpers, which inherit it
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self._max_bytes,) * 2)
        return process


def open_repository(
    address: Address, mirror: Path, timeout: float, access: Access
) -> GitRepository:
    """Open the repository at `address`: one on this host in place, a remote one by its `mirror`.

    Raises `SourceError`.
    """
    if address.remote:
        return GitRepository.mirror(mirror, timeout, access)
    return GitRepository.discover(Path(address.location), timeout, access)


def _highest(refs: Iterable[str], address: Address) -> str:
    tags = [ref.removeprefix("refs/tags/") for ref in refs]
    found = highest((tag for tag in tags if not is_bad_ref(tag)), address.semver)
    if not found:
        message = f"no tag of {address.shown} is in {address.semver!r}"
        raise SourceError("BranchMissing", message)
    return f"refs/tags/{found}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a git process and its helpers, and leave neither a zombie nor an open pipe."""
    _kill(process)
    for pipe in (process.stdout, process.stderr):
        while pipe is not None and not pipe.closed and pipe.read(_CHUNK):
            pass  # it ends when the last helper has ended
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a git process and its helpers, which share its session."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _first_line(errors: str) -> str:
    """Return Git's own words, one line of them, without credentials."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    chosen = next((line for line in lines if line.startswith("fatal:")), lines[0] if lines else "")
    words = chosen.removeprefix("fatal:").strip() or "git failed and gave no reason"
    return " ".join(redact(word) for word in words.split(" "))
