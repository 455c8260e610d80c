import os
from pathlib import Path

import pytest

from reconciler.core.clock import SystemClock
from reconciler.source.files import TreeLimits
from reconciler.source.snapshot import SourceError
from reconciler.source.tree import DirectoryTree


def _tree(root: Path, limits: TreeLimits | None = None) -> DirectoryTree:
    tree = DirectoryTree(root, SystemClock(), limits)
    tree.rescan()
    return tree


def _bytes(tree: DirectoryTree) -> dict[str, bytes]:
    files = tree.files()
    return dict(zip(files, tree.read(list(files.values())), strict=True))


def test_manifests_are_found_below_visible_folders(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "deep" / "b.json").write_text("b")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "c.yaml").write_text("c")
    (tmp_path / "notes.txt").write_text("d")
    assert _bytes(_tree(tmp_path)) == {"a.yaml": b"a", "sub/deep/b.json": b"b"}


def test_a_hidden_folder_that_is_asked_for_by_its_name_is_read(tmp_path: Path) -> None:
    for name in (".deploy/a.yaml", ".deploy/.git/b.yaml", ".other/c.yaml", "d.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    tree = DirectoryTree(tmp_path, SystemClock(), scope=".deploy")
    tree.rescan()
    assert list(tree.files()) == [".deploy/a.yaml"]
    (tmp_path / ".deploy/a.yaml").unlink()
    (tmp_path / ".deploy/e.yaml").write_text("")
    tree.update(str(tmp_path / f".deploy/{name}.yaml") for name in "ae")
    assert list(tree.files()) == [".deploy/e.yaml"]
    (tmp_path / ".deploy/kustomization.yaml").write_text("resources: [../d.yaml]")
    tree.rescan()
    everything = tree.tree()
    assert everything is not None
    assert list(everything) == [".deploy/e.yaml", ".deploy/kustomization.yaml", "d.yaml"]


def test_the_bytes_are_those_of_the_hash_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one")
    tree = _tree(tmp_path)
    ref = tree.files()["a.yaml"]
    assert list(tree.read([ref])) == [b"one"]
    assert list(tree.read([ref])) == [b"one"]
    (tmp_path / "a.yaml").write_text("two")
    with pytest.raises(SourceError, match=r"a\.yaml changed while it was read"):
        list(tree.read([ref]))


def test_an_unchanged_file_keeps_its_ref(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one")
    tree = _tree(tmp_path)
    before = tree.files()["a.yaml"]
    tree.rescan()
    assert tree.files()["a.yaml"] == before
    (tmp_path / "a.yaml").write_text("two")  # same size, perhaps the same tick of the clock
    tree.rescan()
    assert tree.files()["a.yaml"].content != before.content


def test_update_sees_files_and_folders_come_and_go(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    tree = _tree(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yaml").write_text("b")
    tree.update([str(tmp_path / "sub")])
    assert set(tree.files()) == {"a.yaml", "sub/b.yaml"}
    (tmp_path / "a.yaml").unlink()
    (tmp_path / "sub").rename(tmp_path / "other")
    tree.update([str(tmp_path / "a.yaml"), str(tmp_path / "sub"), str(tmp_path / "other")])
    assert set(tree.files()) == {"other/b.yaml"}


def test_a_missing_root_is_an_error_not_an_empty_tree(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        _tree(tmp_path / "nothing")
    assert caught.value.reason == "SourceMissing"


def test_a_root_that_vanished_is_an_error_for_update_too(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    tree = _tree(root)
    root.rmdir()
    with pytest.raises(SourceError):
        tree.update([str(root / "a.yaml")])


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    assert _tree(tmp_path).files()["a.yaml"].refused == "it is not a regular file"


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("0123456789")
    assert _tree(tmp_path, TreeLimits(file_bytes=9)).files()["a.yaml"].refused


def test_too_many_files_are_an_error(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.yaml").write_text("x")
    with pytest.raises(SourceError, match="more than 2 manifest files"):
        _tree(tmp_path, TreeLimits(files=2))


def test_links(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "b.yaml").write_text("b")
    (tmp_path / "same.yaml").symlink_to("a.yaml")
    (tmp_path / "b.yaml").symlink_to(".data/b.yaml")
    (tmp_path / "out.yaml").symlink_to("/etc/hostname")
    (tmp_path / "gone.yaml").symlink_to("nothing")
    files = _tree(tmp_path).files()
    assert set(files) == {"a.yaml", "b.yaml", "out.yaml", "gone.yaml"}
    assert "outside the source's tree" in files["out.yaml"].refused
    assert files["gone.yaml"].refused
    assert not files["b.yaml"].refused


def test_a_change_behind_a_followed_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / ".one").mkdir()
    (tmp_path / ".one" / "b.yaml").write_text("1")
    (tmp_path / "b.yaml").symlink_to(".data/b.yaml")
    (tmp_path / ".data").symlink_to(".one")
    tree = _tree(tmp_path)
    (tmp_path / ".two").mkdir()
    (tmp_path / ".two" / "b.yaml").write_text("2")
    (tmp_path / ".new").symlink_to(".two")
    (tmp_path / ".new").rename(tmp_path / ".data")
    tree.update([str(tmp_path / ".data")])
    assert _bytes(tree) == {"b.yaml": b"2"}
