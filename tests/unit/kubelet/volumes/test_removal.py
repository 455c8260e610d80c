"""A pod's folder goes, whatever the pod made of it, and nothing else does."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.kubelet.volumes.removal import remove_tree

FOLDER = os.O_RDONLY | os.O_DIRECTORY


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "volume"
    root.mkdir()
    at = os.open(root, FOLDER)
    for _ in range(3000):
        os.mkdir("deep" * 10, dir_fd=at)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=at))
        below = os.open("deep" * 10, FOLDER, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    remove_tree(root)
    assert not root.exists()


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    root = tmp_path / "volume"
    (root / "a").mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (root / "a" / "link").symlink_to(outside, target_is_directory=True)
    (root / "a" / "dangling").symlink_to("/nowhere")
    os.mkfifo(root / "a" / "pipe")
    remove_tree(root)
    assert not root.exists()
    assert (outside / "kept").exists()


def test_what_is_gone_already_is_no_fault(tmp_path: Path) -> None:
    remove_tree(tmp_path / "absent")
