"""Control groups of containers, on trees as the kernel shows them: both versions, both drivers."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.kubelet.cgroups import Cgroups, NotLimited

BOX, APP = "b" * 64, "a" * 64
MEBI = 1 << 20
STATUS = "Name:\thttpd\nUid:\t1000\t1001\t0\t0\nGid:\t3000\t0\t0\t0\nGroups:\t4 2000 \n"

Tree = Callable[[Path], tuple[Cgroups, Path]]


def process(proc: Path, number: int, groups: str) -> None:
    folder = proc / str(number)
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text(groups)
    (folder / "status").write_text(STATUS)
    (folder / "uid_map").write_text("0 0 4294967295\n")


def version1(tmp_path: Path) -> tuple[Cgroups, Path]:
    """The driver cgroupfs."""
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    lines = [f"{n}:{name}:/docker/{BOX}" for n, name in enumerate(("pids", "hugetlb", "a,b"))]
    process(proc, 7, "\n".join([*lines, "0::/"]) + "\n")
    group = root / "hugetlb" / "docker" / APP
    group.mkdir(parents=True)
    for name in ("2MB.limit_in_bytes", "2MB.rsvd.limit_in_bytes", "1GB.limit_in_bytes"):
        (group / f"hugetlb.{name}").write_text("9223372036854771712")
    return Cgroups(root, proc), group


def version2(tmp_path: Path) -> tuple[Cgroups, Path]:
    """The driver systemd."""
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    process(proc, 7, f"0::/system.slice/docker-{BOX}.scope\n")
    group = root / "system.slice" / f"docker-{APP}.scope"
    group.mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpu hugetlb pids\n")
    for name in ("2MB.max", "2MB.rsvd.max", "1GB.max"):
        (group / f"hugetlb.{name}").write_text("max")
    return Cgroups(root, proc), group


def told(group: Path) -> dict[str, str]:
    return {file.name.removeprefix("hugetlb."): file.read_text() for file in group.iterdir()}


@pytest.mark.parametrize("tree", [version1, version2])
def test_a_containers_group_is_beside_its_sandboxs(tree: Tree, tmp_path: Path) -> None:
    groups, group = tree(tmp_path)
    assert groups.beside(7, BOX, APP, "hugetlb") == group
    assert groups.beside(7, "another", APP, "hugetlb") is None
    assert groups.beside(8, BOX, APP, "hugetlb") is None
    assert groups.of(7, "hugetlb") == group.with_name(group.name.replace(APP, BOX))


def test_a_controller_of_the_first_version_has_a_hierarchy_of_its_own(tmp_path: Path) -> None:
    groups, _ = version1(tmp_path)
    assert groups.of(7, "pids") == tmp_path / "cgroup" / "pids" / "docker" / BOX
    assert groups.of(7, "memory") is None


@pytest.mark.parametrize(
    ("tree", "limit", "reserved", "other"),
    [
        (version1, "2MB.limit_in_bytes", "2MB.rsvd.limit_in_bytes", "1GB.limit_in_bytes"),
        (version2, "2MB.max", "2MB.rsvd.max", "1GB.max"),
    ],
)
def test_huge_pages_are_limited_used_and_reserved(
    tree: Tree, limit: str, reserved: str, other: str, tmp_path: Path
) -> None:
    groups, group = tree(tmp_path)
    kept = {2 * MEBI: 64 * MEBI, 1 << 30: 1 << 30}
    limits = {"cpu": "1", "hugepages-2Mi": "4Mi"}
    groups.limit_huge_pages(group, kept, limits)
    assert told(group) == {limit: str(4 * MEBI), reserved: str(4 * MEBI), other: "0"}


def test_a_size_of_which_the_host_keeps_none_is_left_alone(tmp_path: Path) -> None:
    groups, group = version2(tmp_path)
    groups.limit_huge_pages(group, {2 * MEBI: 64 * MEBI, 1 << 30: 0}, {})
    assert told(group) == {"2MB.max": "0", "2MB.rsvd.max": "0", "1GB.max": "max"}


def test_what_cannot_be_limited_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, group = version1(tmp_path)
    with pytest.raises(NotLimited, match="not to be seen"):
        groups.limit_huge_pages(None, {2 * MEBI: MEBI}, {"hugepages-2Mi": "2Mi"})
    groups.limit_huge_pages(None, {2 * MEBI: MEBI}, {})
    ended = group / "of-a-container-that-has-ended"
    groups.limit_huge_pages(ended, {2 * MEBI: MEBI}, {"hugepages-2Mi": "2Mi"})

    def busy(_file: Path, _text: str) -> int:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(Path, "write_text", busy)
    with pytest.raises(NotLimited, match="more of them are in use"):
        groups.limit_huge_pages(group, {2 * MEBI: MEBI}, {"hugepages-2Mi": "2Mi"})


def test_a_group_that_the_controller_does_not_reach_holds_up_only_who_asks(tmp_path: Path) -> None:
    groups, group = version2(tmp_path)
    for file in group.iterdir():
        file.unlink()
    groups.limit_huge_pages(group, {2 * MEBI: MEBI}, {"memory": "1Gi"})
    assert told(group) == {}
    with pytest.raises(NotLimited, match="not enabled"):
        groups.limit_huge_pages(group, {2 * MEBI: MEBI}, {"hugepages-2Mi": "2Mi"})


def test_a_host_without_the_controller_cannot_limit(tmp_path: Path) -> None:
    assert version1(tmp_path / "1")[0].limits_huge_pages()
    assert version2(tmp_path / "2")[0].limits_huge_pages()
    (tmp_path / "2" / "cgroup" / "cgroup.controllers").write_text("cpu pids\n")
    assert not Cgroups(tmp_path / "2" / "cgroup").limits_huge_pages()
    (tmp_path / "none").mkdir()
    assert not Cgroups(tmp_path / "none").limits_huge_pages()


def test_the_user_is_that_of_the_first_process(tmp_path: Path) -> None:
    groups, group = version2(tmp_path)
    process(tmp_path / "proc", 40, "")
    process(tmp_path / "proc", 41, "")
    (tmp_path / "proc" / "41" / "status").write_text(STATUS.replace("1000", "5"))
    (tmp_path / "proc" / "self").mkdir()
    (tmp_path / "proc" / "self" / "uid_map").write_text("0 0 4294967295\n")
    (group / "cgroup.procs").write_text("41\n40\n")
    user = groups.user(group)
    assert user is not None
    assert user.to_dict() == {"linux": {"uid": 1000, "gid": 3000, "supplementalGroups": [4, 2000]}}
    (tmp_path / "proc" / "40" / "uid_map").write_text("0 100000 65536\n")
    assert groups.user(group) is None, "its numbers are not the host's"
    (group / "cgroup.procs").write_text("")
    assert groups.user(group) is None, "it has ended"
    assert groups.user(None) is None
