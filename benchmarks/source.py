"""How soon a change is noticed: from the commit, or the write, to the snapshot in hand.

Run: `.venv/bin/python benchmarks/source.py [FILES]`. Medians of ten changes of one file among
FILES, in milliseconds.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reconciler.core.clock import SystemClock
from reconciler.model.gitops import SourceSpec
from reconciler.source.place import Opening, open_source
from reconciler.source.snapshot import Snapshot, Source, SourceProblem

TIMES = 10


def git(repository: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    command = ["git", "-C", str(repository), *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def fill(root: Path, count: int) -> None:
    """Write `count` small files in 100 folders."""
    for number in range(count):
        folder = root / f"team-{number % 100}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.yaml").write_text(f"number: {number}\n" * 40)


async def measure(source: Source, change: str, root: Path, *, commit: bool) -> list[float]:
    """Return the milliseconds from each change to its snapshot."""
    states = source.snapshots()
    start = time.perf_counter()
    _expect(await anext(states))
    cold = (time.perf_counter() - start) * 1000
    await asyncio.sleep(1)  # the watch is set up behind the first snapshot
    times = []
    for number in range(TIMES):
        following = asyncio.ensure_future(anext(states))
        await asyncio.sleep(0.2)
        target = root / "team-1" / "1.yaml"
        if commit:
            target.write_text(f"change: {change} {number}\n" * 50)
            git(root, "add", "--all")
            committing = await asyncio.create_subprocess_exec(
                "git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@b",
                "commit", "--quiet", "--message", str(number),
            )  # fmt: skip
            await committing.wait()
            start = time.perf_counter()
        else:
            start = time.perf_counter()
            target.write_text(f"change: {change} {number}\n" * 50)
        _expect(await following)
        times.append((time.perf_counter() - start) * 1000)
    await source.close()
    await states.aclose()
    return [cold, statistics.median(times), max(times)]


def _expect(state: Snapshot | SourceProblem) -> None:
    if isinstance(state, SourceProblem):
        raise SystemExit(state.message)


async def main(count: int) -> None:
    """Measure a directory and a local repository and print."""
    with tempfile.TemporaryDirectory() as scratch:
        root, state = Path(scratch) / "root", Path(scratch) / "state"
        root.mkdir()
        fill(root, count)
        spec, opening = SourceSpec(path=str(root)), Opening(SystemClock(), state)
        directory = open_source(spec, opening)
        cold, middle, most = await measure(directory, "dir", root, commit=False)
        print(f"{count} files; times in ms")
        print(f"directory   first {cold:7.1f}   change {middle:5.1f} (most {most:.1f}, aim 30)")
        git(root, "init", "--quiet", "--initial-branch=main")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", "all")
        local = open_source(spec, opening)
        cold, middle, most = await measure(local, "git", root, commit=True)
        print(f"repository  first {cold:7.1f}   commit {middle:5.1f} (most {most:.1f}, aim 60)")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
