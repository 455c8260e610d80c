"""Broken and hostile repositories and directories: none does harm, and each says what is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.core.clock import SystemClock
from reconciler.core.queue import Backoff
from reconciler.source import git
from reconciler.source.address import Address
from reconciler.source.branch import GitOptions, GitSource
from reconciler.source.exchange import TooLong, TooMuch, exchange
from reconciler.source.snapshot import Snapshot, SourceError, SourceProblem
from reconciler.source.tree import DirectoryTree
from tests.unit.source.gitrepo import TestRepository

DEADLINE = 30.0
OPTIONS = GitOptions(interval=3600.0, backoff=Backoff(3600.0, 3600.0))


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    made = TestRepository(tmp_path / "repo")
    made.commit("first", a="a: 1\n", b="b: 1\n")
    return made


class Remote:
    """The repository as a remote one, looked at when the test says so."""

    def __init__(self, path: Path, state: Path, last_revision: str = "") -> None:
        self.source = GitSource(
            Address(f"file://{path}", "main"),
            clock=SystemClock(),
            state_dir=state,
            options=OPTIONS,
            last_revision=last_revision,
        )
        self._states = self.source.snapshots()

    async def next(self) -> Snapshot | SourceProblem:
        self.source.look()
        async with asyncio.timeout(DEADLINE):
            return await anext(self._states)

    async def snapshot(self) -> Snapshot:
        state = await self.next()
        assert isinstance(state, Snapshot), state
        return state

    async def problem(self) -> SourceProblem:
        state = await self.next()
        assert isinstance(state, SourceProblem), state
        return state

    async def close(self) -> None:
        await self.source.close()
        await self._states.aclose()  # type: ignore[attr-defined] - a generator


@pytest.fixture
async def remote(repository: TestRepository, tmp_path: Path) -> AsyncIterator[Remote]:
    made = Remote(repository.path, tmp_path / "state")
    yield made
    await made.close()


def mirror(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "state" / "git").iterdir()
    return found


def read(seen: Snapshot) -> list[bytes]:
    return list(seen.contents.read(list(seen.files.values())))


async def test_what_a_killed_fetch_leaves_is_removed(
    remote: Remote, repository: TestRepository, tmp_path: Path
) -> None:
    await remote.snapshot()
    place = mirror(tmp_path)
    left = [place / "shallow.lock", place / "objects" / "pack" / "tmp_pack_Xyz12"]
    (place / "refs" / "reconciler").mkdir(exist_ok=True)
    left.append(place / "refs" / "reconciler" / "fetched.lock")
    for each in left:
        each.write_bytes(b"half")
    (place / "objects" / "tmp_objdir-incoming-1").mkdir()
    repository.commit("second", a="a: 2\n")
    assert (await remote.snapshot()).message == "second"
    assert not any(each.exists() for each in left)
    assert not (place / "objects" / "tmp_objdir-incoming-1").exists()


async def test_a_fetch_that_is_killed_is_made_good_by_the_next(tmp_path: Path) -> None:
    repository = TestRepository(tmp_path / "repo")
    repository.write("big.bin", "")
    (repository.path / "big.bin").write_bytes(os.urandom(24_000_000))
    repository.commit("big", a="a: 1\n")
    remote = Remote(repository.path, tmp_path / "state")
    looking = asyncio.create_task(remote.next())
    async with asyncio.timeout(DEADLINE):
        while not list((tmp_path / "state").rglob("tmp_*")):
            assert not looking.done(), "the fetch was over before it could be killed"
            await asyncio.sleep(0.001)
    running = remote.source._repository
    assert running is not None
    for process in tuple(running._running):
        os.killpg(process.pid, signal.SIGKILL)
    state = await looking
    assert isinstance(state, SourceProblem)
    assert read(await remote.snapshot()) == [b"a: 1\n"]
    assert not list((tmp_path / "state").rglob("tmp_*"))
    await remote.close()


@pytest.mark.parametrize("damage", ["object", "ref", "head", "pack"])
async def test_a_damaged_mirror_heals_by_fetching_anew(
    remote: Remote, repository: TestRepository, tmp_path: Path, damage: str
) -> None:
    first = await remote.snapshot()
    place = mirror(tmp_path)
    if damage == "ref":
        (place / "refs" / "reconciler" / "fetched").write_text("")
    elif damage == "head":
        (place / "HEAD").write_text("nonsense")
    else:
        for path in (place / "objects").rglob("*"):
            if path.is_file():
                path.chmod(0o600)
                path.write_bytes(b"" if damage == "object" else path.read_bytes()[:40] + b"xx")
    second_id = repository.commit("second", a="a: 2\n")
    second = await remote.snapshot()
    assert second.revision == second_id
    assert read(second) == [b"a: 2\n", b"b: 1\n"]
    assert first.revision != second_id


def unpack(place: Path) -> None:
    """Turn the packs of a repository into single objects."""
    for pack in list((place / "objects" / "pack").glob("*.pack")):
        data = pack.read_bytes()
        for each in pack.parent.glob("*"):
            each.unlink()
        command = ["git", f"--git-dir={place}", "unpack-objects", "-q"]
        subprocess.run(command, input=data, check=True)


async def test_bytes_that_are_gone_make_the_mirror_heal(
    remote: Remote, repository: TestRepository, tmp_path: Path
) -> None:
    seen = await remote.snapshot()
    blob = seen.files["a.yaml"].content
    place = mirror(tmp_path)
    unpack(place)
    (place / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(SourceError, match="is missing in"):
        read(seen)
    repository.commit("second", b="b: 2\n")
    healed = await remote.snapshot()
    assert read(healed) == [b"a: 1\n", b"b: 2\n"]
    assert read(seen)[0] == b"a: 1\n"  # the snapshot before is whole again as well


async def test_a_history_rewritten_while_nobody_looked_is_held(
    repository: TestRepository, tmp_path: Path
) -> None:
    before = repository.git("rev-parse", "HEAD")
    repository.git("commit", "--quiet", "--amend", "--message", "rewritten")
    held = Remote(repository.path, tmp_path / "state", last_revision=before)
    assert (await held.problem()).reason == "HistoryRewritten"
    await held.close()


async def test_a_new_mirror_knows_what_was_taken_before(
    repository: TestRepository, tmp_path: Path
) -> None:
    before = repository.git("rev-parse", "HEAD")
    for number in range(3):
        repository.commit(f"more {number}", a=f"a: {number}\n")
    again = Remote(repository.path, tmp_path / "state", last_revision=before)
    assert (await again.snapshot()).message == "more 2"
    await again.close()


async def test_a_repository_that_needs_too_much_disk_is_refused(
    repository: TestRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "MAX_BYTES", 1_000_000)
    (repository.path / "big.bin").write_bytes(os.urandom(3_000_000))
    repository.commit("big")
    remote = Remote(repository.path, tmp_path / "state")
    problem = await remote.problem()
    assert problem.reason == "TooLarge"
    assert "more than 1000000 bytes" in problem.message
    await remote.close()


def bomb(repository: TestRepository) -> str:
    """Return a tree of ten trees, each of which holds the next one ten times."""
    kind, mode, entry = "blob", "100644", repository.git("hash-object", "-w", "a.yaml")
    for _ in range(9):
        lines = "".join(f"{mode} {kind} {entry}\tname{n}.yaml\n" for n in range(10))
        command = ["git", "-C", str(repository.path), "mktree"]
        made = subprocess.run(command, input=lines, text=True, capture_output=True, check=True)
        kind, mode, entry = "tree", "040000", made.stdout.strip()
    return entry


async def test_a_tree_that_lists_more_than_memory_holds_is_refused(
    repository: TestRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(git, "_MAX_OUTPUT", 2_000_000)
    entry = bomb(repository)
    commit = repository.git("commit-tree", entry, "-p", "HEAD", "-m", "bomb")
    repository.git("update-ref", "refs/heads/main", commit)
    remote = Remote(repository.path, tmp_path / "state")
    assert (await remote.problem()).reason == "TooManyFiles"
    await remote.close()


@pytest.mark.parametrize(
    "date", ["1970-01-01T00:00:01Z", "2099-12-31T23:59:59Z", "@99999999999 +0000"]
)
async def test_the_date_of_a_commit_decides_nothing(
    repository: TestRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    remote = Remote(repository.path, tmp_path / "state")
    await remote.snapshot()
    monkeypatch.setenv("GIT_AUTHOR_DATE", date)
    monkeypatch.setenv("GIT_COMMITTER_DATE", date)
    skewed = repository.commit("skewed", a="a: 2\n")
    assert (await remote.snapshot()).revision == skewed
    monkeypatch.delenv("GIT_AUTHOR_DATE")
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    later = repository.commit("later", a="a: 3\n")
    assert (await remote.snapshot()).revision == later
    await remote.close()


def test_files_dated_in_the_past_and_future_are_read_when_they_change(tmp_path: Path) -> None:
    tree = DirectoryTree(tmp_path, SystemClock())
    now = time.time()
    for moment in (0, now - 10, now + 100_000):
        file = tmp_path / "a.yaml"
        file.write_text("a: 1\n")
        os.utime(file, (moment, moment))
        tree.rescan()
        before = tree.files()["a.yaml"].content
        file.write_text("a: 2\n")  # as long as before
        os.utime(file, (moment, moment))
        tree.rescan()
        assert tree.files()["a.yaml"].content != before


@pytest.mark.parametrize(
    "name", ["a.yaml~", ".a.yaml.swp", ".#a.yaml", "#a.yaml#", "4913", "a.yaml.tmp", ".a.yaml.XYZ"]
)
def test_the_temporary_files_of_editors_are_none_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / name).write_text("half written {")
    tree = DirectoryTree(tmp_path, SystemClock())
    tree.rescan()
    assert list(tree.files()) == ["a.yaml"]


def spawn(script: str, *, hears: bool = True) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        ["sh", "-c", script], stdin=pipe if hears else None, stdout=pipe, stderr=pipe
    )


def test_a_process_is_heard_to_its_end() -> None:
    much = b"x" * 3_000_000
    process = spawn("cat; echo no >&2; exit 3")
    assert exchange(process, much, 20, 4_000_000) == (much, b"no\n")
    assert process.returncode == 3


def test_a_process_that_hears_nothing_is_no_error() -> None:
    process = spawn("exec <&-; echo done")
    assert exchange(process, b"x" * 1_000_000, 20, 100) == (b"done\n", b"")


@pytest.mark.parametrize(("script", "error"), [("sleep 60", TooLong), ("cat /dev/zero", TooMuch)])
def test_a_process_beyond_its_bounds(script: str, error: type[Exception]) -> None:
    process = spawn(f"exec {script}", hears=False)
    with pytest.raises(error):
        exchange(process, b"", 0.3 if error is TooLong else 20, 1_000_000)
    process.kill()
    process.communicate()
