"""What a killed writer acknowledged is there; any history reads the same after a restart."""

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.store.history import HistoryLimit
from reconciler.store.protocol import (
    Conflict,
)
from reconciler.store.sqlite import open_store
from tests.unit.store.sqlitekit import contents, drain, key, put, remove

WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from reconciler.model.meta import ObjectKey
    from reconciler.store.history import HistoryLimit
    from reconciler.store.protocol import Put
    from reconciler.store.sqlite import open_store

    async def follow(store, name):
        key = ObjectKey("ConfigMap", "default", name)
        while True:
            base = store.get(key)
            expect = base.revision if base else 0
            count = int(base.value.split()[0]) + 1 if base else 1
            (record,) = await store.commit(
                [Put(key, lambda revision: f"{count} {revision}".encode().ljust(500), expect)])
            sys.stdout.write(f"{name} {count} {record.revision}\\n")
            sys.stdout.flush()

    async def main():
        store = await open_store(Path(sys.argv[1]), HistoryLimit(events=100))
        await asyncio.gather(*(follow(store, f"w{n}") for n in range(8)))

    asyncio.run(main())
    """
)


@pytest.mark.parametrize("lines", [1, 40, 400, 1500])
def test_kill_minus_nine_loses_nothing_that_was_acknowledged(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "state.db"
    newest: dict[str, tuple[int, int]] = {}
    highest = 0
    for _ in range(2):
        acknowledged = _killed_after(path, lines)
        assert all(revision > highest for _, _, revision in acknowledged)
        newest |= {name: (count, revision) for name, count, revision in acknowledged}
        highest = asyncio.run(_check_kept(path, newest))


def _killed_after(path: Path, lines: int) -> list[tuple[str, int, int]]:
    """Run a writer, kill it in the middle of its work; return what it had acknowledged."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        seen = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        seen += [line for line in process.stdout if line.endswith("\n")]
    parts = [line.split() for line in seen]
    return [(name, int(count), int(revision)) for name, count, revision in parts]


async def _check_kept(path: Path, newest: dict[str, tuple[int, int]]) -> int:
    store = await open_store(path, HistoryLimit(events=100))
    for name, (count, revision) in newest.items():
        record = store.get(key(name))
        assert record is not None
        found, encoded_for = map(int, record.value.split())
        assert found >= count
        assert record.revision == encoded_for >= revision
    await drain(store, store._state.history.compacted)
    await store.close()
    return store.revision


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["put", "remove", "reopen"]), st.sampled_from("abc"))),
    st.integers(min_value=0, max_value=6),
)
def test_any_history_reads_the_same_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]], kept: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "state.db"
    asyncio.run(_replay(path, steps, HistoryLimit(events=kept)))


async def _replay(path: Path, steps: list[tuple[str, str]], limit: HistoryLimit) -> None:
    store = await open_store(path, limit)
    model: dict[str, int] = {}
    for action, name in steps:
        try:
            match action:
                case "put":
                    (record,) = await store.commit([put(name, expect=model.get(name, 0))])
                    model[name] = record.revision
                case "remove":
                    await store.commit([remove(name, expect=model.get(name, 0))])
                    del model[name]
                case _:
                    before = contents(store), await drain(store, store._state.history.compacted)
                    revision = store.revision
                    await store.close()
                    store = await open_store(path, limit)
                    after = contents(store), await drain(store, store._state.history.compacted)
                    assert (after, store.revision) == (before, revision)
        except Conflict:
            assert action == "remove"
            assert name not in model
        assert {name: revision for name, revision, _ in contents(store)} == model
    await store.close()
