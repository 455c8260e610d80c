import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.core.clock import SystemClock
from reconciler.core.kept import KeptFile
from reconciler.desired.load import Loader
from reconciler.source.directory import DirectorySource, DirectoryTiming
from reconciler.source.snapshot import Snapshot, SourceError, SourceProblem

DEADLINE = 10.0


class Watched:
    """A running directory source, read step by step."""

    def __init__(self, root: Path) -> None:
        timing = DirectoryTiming(retry=0.05, unwatched=0.05)
        self.source = DirectorySource(root, clock=SystemClock(), timing=timing)
        self.states: AsyncIterator[Snapshot | SourceProblem] = self.source.snapshots()

    async def next(self) -> Snapshot | SourceProblem:
        async with asyncio.timeout(DEADLINE):
            return await anext(self.states)

    async def until(self, *paths: str) -> Snapshot:
        """Return the first snapshot that has exactly `paths`."""
        while True:
            state = await self.next()
            if isinstance(state, Snapshot) and set(state.files) == set(paths):
                return state


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text("a: 1\n")
    running = Watched(root)
    yield running
    await running.source.close()
    await running.states.aclose()


async def test_the_present_state_comes_first(watched: Watched) -> None:
    first = await watched.next()
    assert isinstance(first, Snapshot)
    assert list(first.files) == ["a.yaml"]
    assert list(first.contents.read(list(first.files.values()))) == [b"a: 1\n"]


async def test_a_new_and_a_changed_file_give_a_snapshot(watched: Watched, tmp_path: Path) -> None:
    first = await watched.next()
    (tmp_path / "root" / "b.yaml").write_text("b: 1\n")
    second = await watched.until("a.yaml", "b.yaml")
    assert second.revision != first.revision
    (tmp_path / "root" / "b.yaml").write_text("b: 1000\n")
    third = await watched.until("a.yaml", "b.yaml")
    assert third.files["a.yaml"] is second.files["a.yaml"]
    assert third.files["b.yaml"] != second.files["b.yaml"]


async def test_a_deleted_file_leaves(watched: Watched, tmp_path: Path) -> None:
    await watched.next()
    (tmp_path / "root" / "a.yaml").unlink()
    assert (await watched.until()).files == {}


async def test_a_file_written_anew_by_an_editor_never_seems_deleted(
    watched: Watched, tmp_path: Path
) -> None:
    await watched.next()
    file = tmp_path / "root" / "a.yaml"

    async def save() -> None:
        file.rename(file.with_name("a.yaml~"))
        await asyncio.sleep(0.05)  # longer than the watch's step: the deletion is seen
        file.write_text("a: 2\n")

    saving = asyncio.create_task(save())
    state = await watched.next()
    await saving
    assert isinstance(state, Snapshot)
    assert list(state.contents.read([state.files["a.yaml"]])) == [b"a: 2\n"]


async def test_a_vanished_root_is_a_problem_and_heals(watched: Watched, tmp_path: Path) -> None:
    first = await watched.next()
    root = tmp_path / "root"
    root.rename(tmp_path / "elsewhere")
    problem = await watched.next()
    assert isinstance(problem, SourceProblem)
    assert problem.reason == "SourceMissing"
    (tmp_path / "elsewhere").rename(root)
    healed = await watched.next()
    assert isinstance(healed, Snapshot)
    assert healed.revision == first.revision
    (root / "b.yaml").write_text("b: 1\n")  # the new directory is watched again
    await watched.until("a.yaml", "b.yaml")


async def test_close_ends_the_snapshots(watched: Watched) -> None:
    await watched.next()
    await watched.source.close()
    with pytest.raises(StopAsyncIteration):
        await watched.next()


CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {0}}}\ndata: {{k: '{1}'}}\n"
SEALED = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: hunter2}\n"


def kept(tmp_path: Path, name: str) -> KeptFile:
    return KeptFile(tmp_path / "cache" / name, "test")


async def first(source: DirectorySource) -> Snapshot:
    states = source.snapshots()
    async with asyncio.timeout(DEADLINE):
        state = await anext(states)
    assert isinstance(state, Snapshot)
    await source.close()
    await states.aclose()  # type: ignore[attr-defined] - a generator
    return state


async def test_the_last_good_revision_is_had_after_a_restart_though_a_file_broke(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(CONFIG.format("a", "good"))
    (root / "s.yaml").write_text(SEALED)
    before = DirectorySource(root, clock=SystemClock(), past=kept(tmp_path, "past"))
    good = await first(before)
    wanted = Loader(memory=kept(tmp_path, "declared")).load(good)
    before.keep(good.revision)
    (root / "a.yaml").write_text(CONFIG.format("a", "bad") + "nonsense: {\n")
    again = DirectorySource(root, clock=SystemClock(), past=kept(tmp_path, "past"))
    loader = Loader(memory=kept(tmp_path, "declared"))
    assert loader.load(await first(again)).problems
    past = await again.at(good.revision)
    assert past is not None
    found = loader.load(past)
    assert found.problems == ()
    assert {k: o.content for k, o in found.objects.items()} == {
        k: o.content for k, o in wanted.objects.items()
    }
    assert b"hunter2" not in b"".join(each.read_bytes() for each in (tmp_path / "cache").iterdir())


async def test_a_secret_that_broke_is_not_had_from_the_past(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "s.yaml").write_text(SEALED)
    before = DirectorySource(root, clock=SystemClock(), past=kept(tmp_path, "past"))
    good = await first(before)
    Loader(memory=kept(tmp_path, "declared")).load(good)
    before.keep(good.revision)
    (root / "s.yaml").write_text("nonsense: {\n")
    again = DirectorySource(root, clock=SystemClock(), past=kept(tmp_path, "past"))
    loader = Loader(memory=kept(tmp_path, "declared"))
    loader.load(await first(again))
    past = await again.at(good.revision)
    assert past is not None
    with pytest.raises(SourceError):
        loader.load(past)
    assert await again.at("unknown") is None


async def test_as_many_directories_are_watched_as_there_are_sources(tmp_path: Path) -> None:
    roots = [tmp_path / f"root{number}" for number in range(45)]
    running = []
    for root in roots:
        root.mkdir()
        (root / "a.yaml").write_text("a: 1\n")
        running.append(Watched(root))
    for each in running:
        await each.next()
    last = asyncio.create_task(running[-1].until("a.yaml", "b.yaml"))
    others = [asyncio.create_task(each.until("b.yaml")) for each in running[:-1]]
    async with asyncio.timeout(DEADLINE):  # until only a watch sees what comes: for a minute
        while running[-1].source._looks < 2:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.01)
    (roots[-1] / "b.yaml").write_text("b: 1\n")
    async with asyncio.timeout(DEADLINE):
        await last
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for watched in running:
        await watched.source.close()
        await watched.states.aclose()  # type: ignore[attr-defined] - a generator
