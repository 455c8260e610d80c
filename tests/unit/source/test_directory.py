import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.core.clock import SystemClock
from reconciler.source.directory import DirectorySource, DirectoryTiming
from reconciler.source.snapshot import Snapshot, SourceProblem

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
