from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

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
