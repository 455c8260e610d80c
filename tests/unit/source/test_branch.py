import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from reconciler.core.clock import SystemClock
from reconciler.core.queue import Backoff
from reconciler.source.address import Address
from reconciler.source.branch import GitOptions, GitSource
from reconciler.source.snapshot import Snapshot, SourceProblem
from tests.unit.source.gitrepo import TestRepository

DEADLINE = 20.0
OPTIONS = GitOptions(interval=0.05, jitter=0.0, rewatch=0.05, backoff=Backoff(0.05, 0.1))
SLOW = GitOptions(interval=3600.0)


class Watched:
    """A running Git source, read step by step."""

    def __init__(self, source: GitSource) -> None:
        self.source = source
        self.states = source.snapshots()

    async def snapshot(self) -> Snapshot:
        async with asyncio.timeout(DEADLINE):
            state = await anext(self.states)
        assert isinstance(state, Snapshot), state
        return state

    async def problem(self) -> SourceProblem:
        async with asyncio.timeout(DEADLINE):
            state = await anext(self.states)
        assert isinstance(state, SourceProblem), state
        return state

    async def close(self) -> None:
        await self.source.close()
        await self.states.aclose()


Watch = Callable[..., Watched]


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    repository = TestRepository(tmp_path / "repo")
    repository.commit("first", a="a: 1\n", apps__b="b: 1\n")
    return repository


@pytest.fixture
async def watch(tmp_path: Path, repository: TestRepository) -> AsyncIterator[Watch]:
    running: list[Watched] = []

    def start(prefix: str = "", options: GitOptions = OPTIONS, **address: str) -> Watched:
        place = Address(f"{prefix}{repository.path}", **{"branch": "main", **address})
        source = GitSource(
            place, clock=SystemClock(), state_dir=tmp_path / "state", options=options
        )
        running.append(Watched(source))
        return running[-1]

    yield start
    for each in running:
        await each.close()


def _texts(snapshot: Snapshot) -> dict[str, bytes]:
    files = list(snapshot.files.values())
    contents = snapshot.contents.read(files)
    return {file.path: data for file, data in zip(files, contents, strict=True)}


@pytest.mark.parametrize("prefix", ["", "file://"])
async def test_a_branch_is_followed(watch: Watch, repository: TestRepository, prefix: str) -> None:
    watched = watch(prefix)
    first = await watched.snapshot()
    assert first.author == "Ada <ada@example.com>"
    assert first.message == "first"
    assert _texts(first) == {"a.yaml": b"a: 1\n", "apps/b.yaml": b"b: 1\n"}
    repository.git("rm", "--quiet", "apps/b.yaml")
    second_id = repository.commit("second", a="a: 2\n", c="c: 1\n")
    second = await watched.snapshot()
    assert second.revision == second_id
    assert _texts(second) == {"a.yaml": b"a: 2\n", "c.yaml": b"c: 1\n"}


async def test_a_difference_keeps_the_other_files_refs(
    watch: Watch, repository: TestRepository
) -> None:
    watched = watch()
    first = await watched.snapshot()
    repository.commit("second", a="a: 2\n")
    second = await watched.snapshot()
    assert second.files["apps/b.yaml"] is first.files["apps/b.yaml"]
    repository.commit("empty")
    assert (await watched.snapshot()).files is second.files


async def test_a_commit_is_noticed_by_the_refs_not_by_the_interval(
    watch: Watch, repository: TestRepository
) -> None:
    watched = watch(options=SLOW)
    await watched.snapshot()
    following = asyncio.create_task(watched.snapshot())
    for number in range(100):  # until the watch is set up, which nothing tells
        repository.commit(f"try {number}", a=f"a: {number + 2}\n")
        done, _ = await asyncio.wait([following], timeout=0.2)
        if done:
            break
    assert (await following).message.startswith("try")


async def test_a_sub_path_is_all_that_counts(watch: Watch, repository: TestRepository) -> None:
    watched = watch(sub_path="apps")
    assert _texts(await watched.snapshot()) == {"apps/b.yaml": b"b: 1\n"}
    repository.git("mv", "apps", "other")
    repository.commit("moved")
    problem = await watched.problem()
    assert problem.reason == "PathMissing"
    assert "there is no directory apps" in problem.message


@pytest.mark.parametrize("prefix", ["", "file://"])
async def test_a_rewritten_history_is_held_until_asked(
    watch: Watch, repository: TestRepository, prefix: str
) -> None:
    watched = watch(prefix)
    repository.commit("second", a="a: 2\n")
    await watched.snapshot()
    repository.git("commit", "--quiet", "--amend", "--message", "rewritten")
    problem = await watched.problem()
    assert problem.reason == "HistoryRewritten"
    watched.source.trigger()
    assert (await watched.snapshot()).message == "rewritten"


async def test_a_rewritten_history_may_be_followed(
    watch: Watch, repository: TestRepository
) -> None:
    watched = watch(options=GitOptions(interval=0.05, follow_rewrites=True))
    await watched.snapshot()
    repository.git("commit", "--quiet", "--amend", "--message", "rewritten")
    assert (await watched.snapshot()).message == "rewritten"


@pytest.mark.parametrize("prefix", ["", "file://"])
async def test_a_vanished_branch_is_a_problem_and_heals(
    watch: Watch, repository: TestRepository, prefix: str
) -> None:
    watched = watch(prefix)
    first = await watched.snapshot()
    repository.git("branch", "--move", "main", "other")
    assert (await watched.problem()).reason == "BranchMissing"
    repository.git("branch", "--move", "other", "main")
    assert (await watched.snapshot()).revision == first.revision


@pytest.mark.parametrize(("prefix", "reason"), [("", "SourceMissing"), ("file://", "Unreachable")])
async def test_a_vanished_repository_is_a_problem(
    watch: Watch, repository: TestRepository, prefix: str, reason: str
) -> None:
    watched = watch(prefix)
    await watched.snapshot()
    shutil.rmtree(repository.path)
    assert (await watched.problem()).reason == reason


async def test_an_empty_tree_is_a_snapshot_without_files(
    watch: Watch, repository: TestRepository
) -> None:
    watched = watch()
    await watched.snapshot()
    repository.git("rm", "-r", "--quiet", ".")
    repository.commit("nothing left")
    assert (await watched.snapshot()).files == {}


async def test_a_link_out_of_the_tree_is_refused(watch: Watch, repository: TestRepository) -> None:
    (repository.path / "out.yaml").symlink_to("/etc/hostname")
    repository.commit("a link")
    watched = watch()
    files = (await watched.snapshot()).files
    assert "outside the source's tree" in files["out.yaml"].refused
    (repository.path / "out.yaml").unlink()
    repository.commit("no link")
    assert "out.yaml" not in (await watched.snapshot()).files


async def test_no_hook_and_no_config_of_the_repository_runs(
    watch: Watch, repository: TestRepository, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {mark}\n")
    script.chmod(0o755)
    for name in ("core.fsmonitor", "core.sshCommand", "diff.external", "gpg.program", "core.pager"):
        repository.git("config", name, str(script))
    repository.git("config", "log.showSignature", "true")
    watched = watch()
    await watched.snapshot()
    repository.git("-c", "core.fsmonitor=false", "commit", "--quiet", "--allow-empty", "-m", "x")
    mark.unlink(missing_ok=True)  # git's own commit ran it, not we
    await watched.snapshot()
    assert not mark.exists()


async def test_the_mirror_is_shallow_and_found_again(
    watch: Watch, repository: TestRepository, tmp_path: Path
) -> None:
    repository.commit("second", a="a: 2\n")
    first = watch("file://")
    assert (await first.snapshot()).message == "second"
    (mirror,) = (tmp_path / "state" / "git").iterdir()
    assert (mirror / "shallow").exists()
    await first.close()
    (mirror / "shallow.lock").touch()  # as a killed fetch leaves it
    again = watch("file://")
    assert (await again.snapshot()).message == "second"


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_a_remote_that_never_answers_times_out_and_leaves_no_process(tmp_path: Path) -> None:
    server = await asyncio.start_server(_silent, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        watched = Watched(
            GitSource(
                Address(f"git://127.0.0.1:{port}/r", "main"),
                clock=SystemClock(),
                state_dir=tmp_path,
                options=GitOptions(timeout=0.3),
            )
        )
        assert (await watched.problem()).reason == "TimedOut"
        await watched.close()
        assert str(port) not in _commands()


async def test_close_ends_a_fetch_that_hangs(tmp_path: Path) -> None:
    connected = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await _silent(reader, writer)

    server = await asyncio.start_server(answer, "127.0.0.1")
    async with server, asyncio.timeout(DEADLINE):
        port = server.sockets[0].getsockname()[1]
        source = GitSource(
            Address(f"git://127.0.0.1:{port}/r", "main"), clock=SystemClock(), state_dir=tmp_path
        )
        following = asyncio.ensure_future(anext(source.snapshots()))
        await connected.wait()
        await source.close()
        with pytest.raises(StopAsyncIteration):
            await following
        assert str(port) not in _commands()


def _commands() -> str:
    """Return the command lines of all processes."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return "\n".join(lines)


def test_sources_do_not_look_in_step_and_leave_a_remote_that_fails_alone_for_longer() -> None:
    options, random = GitOptions(interval=10.0), Random(1)
    pauses = {options.pause(0, random) for _ in range(100)}
    assert len(pauses) == 100
    assert all(10.0 <= pause <= 11.0 for pause in pauses)
    failed = [options.pause(failures, random) for failures in (1, 5, 50)]
    assert failed == sorted(failed)
    assert 60.0 < failed[-1] <= 330.0
