"""gitRepo: what Kubernetes did with git, and each threat of docs/security/gitrepo.md."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.volumes import gitclone
from reconciler.kubelet.volumes.gitclone import GitLimits, clone
from reconciler.kubelet.volumes.gitrepo import GitRepo
from reconciler.kubelet.volumes.protocol import Request, VolumeError, VolumePending
from reconciler.model.pod import Pod
from reconciler.model.volume import GitRepoVolumeSource, Volume
from tests.unit.kubelet.builders import pod

LIMITS = GitLimits(seconds=30, file=True)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", *identity, "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: `file` says 1, then 2; the first one has the tag v1."""
    folder = tmp_path / "app"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for text in ("1", "2"):
        (folder / "file").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", text)
    git(folder, "tag", "v1", "HEAD~1")
    git(folder, "branch", "side", "HEAD~1")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def source(repository: Path | str, revision: str = "", directory: str = "") -> GitRepoVolumeSource:
    return GitRepoVolumeSource(repository=str(repository), revision=revision, directory=directory)


@pytest.mark.parametrize(
    ("revision", "directory", "expected"),
    [
        ("", "", {"app/file": "2"}),
        ("v1", "", {"app/file": "1"}),
        ("side", "other", {"other/file": "1"}),
        ("", ".", {"file": "2"}),
        ("v1", ".", {"file": "1"}),
    ],
)
async def test_a_clone_is_what_kubernetes_makes(
    repository: Path, tree: Path, revision: str, directory: str, expected: dict[str, str]
) -> None:
    await clone(source(repository, revision, directory), tree, LIMITS)
    assert {name: (tree / name).read_text() for name in expected} == expected


async def test_a_commit_is_a_revision(repository: Path, tree: Path) -> None:
    first = git(repository, "rev-parse", "v1")
    await clone(source(f"file://{repository}", first), tree, LIMITS)
    assert git(tree / "app", "rev-parse", "HEAD") == first


async def test_what_git_refuses_is_told(repository: Path, tree: Path) -> None:
    with pytest.raises(VolumeError, match="failed to exec 'git checkout': exit status"):
        await clone(source(repository, "absent"), tree, LIMITS)
    with pytest.raises(VolumeError, match="failed to exec 'git clone': exit status 128"):
        await clone(source("/nowhere", "", "x"), tree, LIMITS)


@pytest.mark.parametrize("field", ["repository", "revision", "directory"])
@pytest.mark.parametrize("value", ["--upload-pack=touch /tmp/x", "-c", "a\nb", "a\0b", "a\x7f"])
async def test_no_field_is_an_option(tree: Path, field: str, value: str) -> None:
    fields = {"repository": "https://example.org/a.git", field: value}
    with pytest.raises(VolumeError, match=f"invalid {field}"):
        await clone(GitRepoVolumeSource(**fields), tree, LIMITS)


@pytest.mark.parametrize(
    "repository",
    [
        "ext::sh -c id",
        "fd::3",
        "http://example.org/a.git",
        "ftp://example.org/a",
        "/etc/repository",
        "repository",
        "file:///etc/repository",
        "ssh://-oProxyCommand=id/x",
        "ssh://user@-oProxyCommand=id/x",
        "-oProxyCommand=id:x",
        "HTTP://example.org/a",
    ],
)
def test_only_known_transports_are_used(repository: str) -> None:
    with pytest.raises(VolumeError, match="invalid repository"):
        gitclone.check(source(repository), GitLimits())


def test_known_transports_are_passed_to_git_too() -> None:
    for repository in ("https://h/a", "ssh://git@h/a", "git://h/a", "git@h:a/b.git"):
        gitclone.check(source(repository), GitLimits())
    assert gitclone.environment(GitLimits())["GIT_ALLOW_PROTOCOL"] == "https:ssh:git"
    assert gitclone.environment(LIMITS)["GIT_ALLOW_PROTOCOL"] == "https:ssh:git:file"


@pytest.mark.parametrize("directory", ["a/b", "/a", "..", "../a", "a/", ".git/hooks"])
def test_the_directory_is_one_segment(directory: str) -> None:
    with pytest.raises(VolumeError, match="invalid directory"):
        gitclone.check(source("https://example.org/a", "", directory), GitLimits())


def poison(folder: Path) -> Path:
    """Make a hook that tells when it ran."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("post-checkout", "post-merge", "reference-transaction", "post-index-change"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {folder}/ran\n")
        (folder / name).chmod(0o755)
    return folder / "ran"


async def test_no_hook_runs(
    repository: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = poison(tmp_path / "template" / "hooks")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    git(tmp_path, "clone", "-q", str(repository), "control")
    assert ran.exists()  # the trap works
    ran.unlink()
    await clone(source(repository, "v1"), tree, LIMITS)
    assert not ran.exists()
    assert not (tree / "app" / ".git" / "hooks").exists()


async def test_no_configuration_of_the_host_is_read(
    repository: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = poison(tmp_path / "hooks")
    smudge = f"touch {ran}; cat"
    config = f'[core]\nhooksPath = {tmp_path}/hooks\n[filter "x"]\nsmudge = {smudge!r}\n'
    (tmp_path / ".gitconfig").write_text(config.replace("'", '"'))
    (repository / ".gitattributes").write_text("* filter=x\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "filter")
    monkeypatch.setenv("HOME", str(tmp_path))
    git(tmp_path, "clone", "-q", str(repository), "control")
    assert ran.exists()  # the trap works
    ran.unlink()
    await clone(source(repository, "main"), tree, LIMITS)
    assert not ran.exists()
    assert (tree / "app" / "file").read_text() == "2"


def test_nothing_of_the_daemon_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_TOKEN", "s3cret")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_EXEC_PATH", "/x")
    found = gitclone.environment(GitLimits())
    assert not {"RECONCILER_TOKEN", "GIT_CONFIG_COUNT", "GIT_EXEC_PATH"} & set(found)
    assert "s3cret" not in str(found)


async def test_submodules_are_not_fetched(repository: Path, tree: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q", "-b", "main")
    git(outer, "submodule", "--quiet", "add", str(repository), "sub")
    git(outer, "commit", "-q", "-m", "sub")
    await clone(source(outer, "main"), tree, LIMITS)
    assert list((tree / "outer" / "sub").iterdir()) == []
    assert not (tree / "outer" / ".git" / "modules").exists()


async def test_a_large_repository_is_given_up(repository: Path, tree: Path) -> None:
    (repository / "zeros").write_bytes(bytes(8 << 20))  # small when packed
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "large")
    small = GitLimits(seconds=30, size=2 << 20, file=True)
    with pytest.raises(VolumeError, match=r"larger than|failed to exec"):
        await clone(source(repository), tree, small)
    assert gitclone.weight(tree, 1 << 30) < 4 << 20


async def test_many_small_files_are_too_much_too(repository: Path, tree: Path) -> None:
    for number in range(300):
        (repository / f"{number}").touch()
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "many")
    with pytest.raises(VolumeError, match="larger than 1048576 bytes"):
        await clone(source(repository), tree, GitLimits(seconds=30, size=1 << 20, file=True))


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def running(folder: Path) -> list[str]:
    """Return the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
        except OSError:
            continue
    return found


async def test_a_server_that_never_answers_is_given_up(tree: Path) -> None:
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(VolumeError, match=r"git took longer than 0\.5 s"):
            await clone(source(f"git://127.0.0.1:{port}/a"), tree, GitLimits(seconds=0.5))
    assert running(tree) == []


async def test_credentials_are_not_shown(tree: Path) -> None:
    with pytest.raises(VolumeError) as refused:
        await clone(source("https://user:s3cret@127.0.0.1:1/a"), tree, LIMITS)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(VolumeError) as refused:
        gitclone.check(source("http://user:s3cret@h/a"), GitLimits())
    assert "s3cret" not in str(refused.value)


class Kind:
    """The kind of volume with a call that tells of news."""

    def __init__(self, tmp_path: Path, limits: GitLimits = LIMITS) -> None:
        self.news = asyncio.Event()
        self.files = PodFiles(tmp_path / "state", tmp_path / "run")
        self.kind = GitRepo(self.files.offload, limits, asyncio.create_task, self.again)

    def again(self, _pod: Pod) -> None:
        self.news.set()

    def request(self, repository: Path | str) -> Request:
        volume = Volume(name="v", git_repo=source(repository))
        return Request(pod(), volume, self.files.place("uid-1", self.kind, "v"))

    async def ask(self, request: Request) -> Path:
        """Ask until there is an answer."""
        for _ in range(2):
            self.news.clear()
            try:
                ready = await self.kind.prepare(request)
            except VolumePending:
                async with asyncio.timeout(20):
                    await self.news.wait()
            else:
                assert ready.path is not None
                return ready.path
        return (await self.kind.prepare(request)).path or Path()


async def test_a_repository_is_cloned_once_for_a_pod(repository: Path, tmp_path: Path) -> None:
    kind = Kind(tmp_path)
    request = kind.request(repository)
    root = await kind.ask(request)
    (root / "app" / "own").touch()
    (repository / "file").write_text("3")
    git(repository, "commit", "-qam", "3")
    assert await Kind(tmp_path).ask(request) == root  # another daemon
    assert (root / "app" / "own").exists()
    assert (root / "app" / "file").read_text() == "2"


async def test_an_interrupted_clone_begins_anew(repository: Path, tmp_path: Path) -> None:
    kind = Kind(tmp_path)
    request = kind.request(repository)
    (request.place.disk / "tree" / "app" / "half").mkdir(parents=True)
    root = await kind.ask(request)
    assert sorted(entry.name for entry in (root / "app").iterdir()) == [".git", "file"]


async def test_a_failure_is_told_once_and_tried_again(repository: Path, tmp_path: Path) -> None:
    kind = Kind(tmp_path)
    absent = kind.request(tmp_path / "late")
    with pytest.raises(VolumeError, match="failed to exec 'git clone'"):
        await kind.ask(absent)
    git(tmp_path, "clone", "-q", "--bare", str(repository), "late")
    assert (await kind.ask(absent) / "late" / "file").read_text() == "2"


async def test_a_clone_that_hangs_holds_up_no_other_pod(tmp_path: Path) -> None:
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        kind = Kind(tmp_path)
        request = kind.request(f"git://127.0.0.1:{port}/a")
        for _ in range(3):
            with pytest.raises(VolumePending):
                await asyncio.wait_for(kind.kind.prepare(request), 1)
        assert len(kind.kind._clones) == 1
        await kind.kind.teardown(request.place)
        assert running(tmp_path) == []
    assert not kind.news.is_set()
