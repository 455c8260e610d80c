from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.core.kept import KeptFile
from reconciler.desired.load import Loader
from reconciler.model.meta import ObjectKey
from reconciler.source.snapshot import FileRef, Snapshot, SourceError


class Files:
    """A source in memory that remembers what was read of it."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.read_paths: list[str] = []
        self.broken = False

    def snapshot(self, revision: str, **refused: str) -> Snapshot:
        files = {
            path: FileRef(path, f"{hash(text)}", len(text)) for path, text in self.texts.items()
        }
        files.update({path: FileRef(path, "", 0, reason) for path, reason in refused.items()})
        return Snapshot(revision, "", datetime(2026, 1, 1, tzinfo=UTC), "", files, self)

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        for file in files:
            if self.broken:
                raise SourceError("Unreadable", "input/output error")
            self.read_paths.append(file.path)
            yield self.texts[file.path].encode()


def namespace(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"


def key(name: str) -> ObjectKey:
    return ObjectKey("Namespace", "", name)


@pytest.fixture
def files() -> Files:
    files = Files()
    files.texts = {"a.yaml": namespace("a"), "b.yaml": namespace("b")}
    return files


def test_only_what_changed_is_read(files: Files) -> None:
    loader = Loader()
    first = loader.load(files.snapshot("1"))
    assert set(first.objects) == {key("a"), key("b")}
    files.read_paths.clear()
    files.texts["b.yaml"] = namespace("c")
    second = loader.load(files.snapshot("2"))
    assert files.read_paths == ["b.yaml"]
    assert set(second.objects) == {key("a"), key("c")}
    assert second.objects[key("a")] is first.objects[key("a")]
    assert set(first.objects) == {key("a"), key("b")}  # what was handed out stays as it was


def test_a_moved_file_is_not_read_again(files: Files) -> None:
    loader = Loader()
    loader.load(files.snapshot("1"))
    files.read_paths.clear()
    files.texts["z/a.yaml"] = files.texts.pop("a.yaml")
    desired = loader.load(files.snapshot("2"))
    assert files.read_paths == []
    assert desired.objects[key("a")].place == "z/a.yaml:1:1"
    assert desired.problems == ()


def test_a_deleted_file_takes_its_objects_along(files: Files) -> None:
    loader = Loader()
    loader.load(files.snapshot("1"))
    del files.texts["a.yaml"]
    assert set(loader.load(files.snapshot("2")).objects) == {key("b")}


def test_an_object_may_move_between_files_in_one_revision(files: Files) -> None:
    loader = Loader()
    loader.load(files.snapshot("1"))
    files.texts = {"a.yaml": namespace("b"), "b.yaml": namespace("a")}
    desired = loader.load(files.snapshot("2"))
    assert desired.problems == ()
    assert desired.objects[key("a")].path == "b.yaml"


def test_two_files_that_declare_one_object(files: Files) -> None:
    loader = Loader()
    files.texts["c.yaml"] = "# copied\n" + namespace("a")
    (problem,) = loader.load(files.snapshot("1")).problems
    assert problem.place == "c.yaml:2:1"
    assert problem.message == "Namespace a is declared twice: first at a.yaml:1:1"
    files.texts["c.yaml"] = namespace("c")
    mended = loader.load(files.snapshot("2"))
    assert mended.problems == ()
    assert set(mended.objects) == {key("a"), key("b"), key("c")}


def test_problems_of_all_files_stay_until_mended(files: Files) -> None:
    loader = Loader()
    files.texts["a.yaml"] += "foo: 1\n"
    files.texts["b.yaml"] += "bar: 1\n"
    desired = loader.load(files.snapshot("1", **{"l.yaml": "a link"}))
    assert [each.place for each in desired.problems] == ["a.yaml:4:1", "b.yaml:4:1", "l.yaml:1:1"]
    files.texts["a.yaml"] = namespace("a")
    desired = loader.load(files.snapshot("2", **{"l.yaml": "a link"}))
    assert [each.path for each in desired.problems] == ["b.yaml", "l.yaml"]
    files.texts["b.yaml"] = namespace("b")
    assert loader.load(files.snapshot("3")).problems == ()


def test_unreadable_bytes_are_no_deletion(files: Files) -> None:
    loader = Loader()
    loader.load(files.snapshot("1"))
    files.texts["a.yaml"] = namespace("c")
    files.broken = True
    with pytest.raises(SourceError):
        loader.load(files.snapshot("2"))
    files.broken = False
    assert set(loader.load(files.snapshot("2")).objects) == {key("b"), key("c")}


def test_an_incremental_load_equals_a_fresh_one(files: Files) -> None:
    loader = Loader()
    for step in range(12):
        files.texts[f"f{step % 5}.yaml"] = namespace(f"n{step * 7 % 4}")
        if step % 3 == 0:
            files.texts.pop(f"f{(step + 2) % 5}.yaml", None)
        snapshot = files.snapshot(str(step))
        grown, fresh = loader.load(snapshot), Loader().load(snapshot)
        assert dict(grown.objects) == dict(fresh.objects)
        assert grown.problems == fresh.problems


HIDDEN = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {word: sesame}\n"
SEALED = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {a: b}} # ENC[AES256\n"


def test_a_restart_reads_only_what_changed(files: Files, tmp_path: Path) -> None:
    memory = tmp_path / "declared"
    first = Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    files.read_paths.clear()
    files.texts["c.yaml"] = namespace("c")
    files.texts["moved/a.yaml"] = files.texts.pop("a.yaml")
    restarted = Loader(memory=KeptFile(memory, "code"))
    again = restarted.load(files.snapshot("2"))
    assert files.read_paths == ["c.yaml"]
    for name in ("a", "b"):
        before, after = first.objects[key(name)], again.objects[key(name)]
        assert (before.content, before.manifest, before.obj) == (
            after.content, after.manifest, after.obj,
        )  # fmt: skip
    assert again.objects[key("a")].place == "moved/a.yaml:1:1"
    files.read_paths.clear()
    assert set(restarted.load(files.snapshot("3")).objects) == set(again.objects)
    Loader(memory=KeptFile(memory, "new code")).load(files.snapshot("3"))
    assert sorted(files.read_paths) == ["b.yaml", "c.yaml", "moved/a.yaml"]


def test_equal_bytes_of_another_format_are_not_recalled(files: Files, tmp_path: Path) -> None:
    memory = tmp_path / "declared"
    Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    files.texts["a.json"] = files.texts.pop("a.yaml")
    desired = Loader(memory=KeptFile(memory, "code")).load(files.snapshot("2"))
    assert [problem.path for problem in desired.problems] == ["a.json"]


def test_a_recalled_file_still_clashes_with_a_new_one(files: Files, tmp_path: Path) -> None:
    memory = tmp_path / "declared"
    Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    files.texts["c.yaml"] = namespace("a")
    desired = Loader(memory=KeptFile(memory, "code")).load(files.snapshot("2"))
    assert [problem.path for problem in desired.problems] == ["c.yaml"]


def test_secrets_what_is_encrypted_and_faulty_files_are_never_kept(
    files: Files, tmp_path: Path
) -> None:
    memory = tmp_path / "declared"
    files.texts |= {"s.yaml": HIDDEN, "e.yaml": SEALED, "f.yaml": "kind: Nothing\n"}
    Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    assert b"sesame" not in memory.read_bytes()
    files.read_paths.clear()
    desired = Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    assert sorted(files.read_paths) == ["e.yaml", "f.yaml", "s.yaml"]
    assert [problem.path for problem in desired.problems] == ["f.yaml"]


def test_the_memory_does_not_grow_for_ever(files: Files, tmp_path: Path) -> None:
    memory = tmp_path / "declared"
    loader = Loader(memory=KeptFile(memory, "code"))
    for number in range(1200):
        files.texts["a.yaml"] = namespace(f"n{number}")
        loader.load(files.snapshot(str(number)))
    assert len(KeptFile(memory, "code").read()) < 600


def test_a_damaged_memory_costs_nothing_but_time(files: Files, tmp_path: Path) -> None:
    memory = tmp_path / "declared"
    first = Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    memory.write_bytes(memory.read_bytes()[:-7] + b"garbage")
    again = Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    assert {k: each.obj for k, each in again.objects.items()} == {
        k: each.obj for k, each in first.objects.items()
    }


def test_a_memory_that_is_damaged_in_the_middle_is_good_up_to_there(
    files: Files, tmp_path: Path
) -> None:
    memory = tmp_path / "declared"
    files.texts = {f"{number:04}.yaml": namespace(f"n{number}") for number in range(1200)}
    first = Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    whole = memory.read_bytes()
    place = whole.index(b'"n700"')
    memory.write_bytes(whole[:place] + b'"n7x0"' + whole[place + 6 :])
    files.read_paths.clear()
    again = Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    assert files.read_paths == [f"{number:04}.yaml" for number in range(500, 1200)]
    assert {k: each.obj for k, each in again.objects.items()} == {
        k: each.obj for k, each in first.objects.items()
    }
    files.read_paths.clear()
    Loader(memory=KeptFile(memory, "code")).load(files.snapshot("1"))
    assert files.read_paths == []
