"""Submodules: read when the source asks for them, by the rules of their parent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.core.clock import SystemClock
from reconciler.core.queue import Backoff
from reconciler.source.address import Address, AddressError
from reconciler.source.branch import GitOptions, GitSource
from reconciler.source.snapshot import Snapshot, SourceProblem
from reconciler.source.submodules import _resolved
from tests.unit.source.gitrepo import TestRepository

Look = Callable[..., Snapshot | SourceProblem]


@pytest.fixture
def library(tmp_path: Path) -> TestRepository:
    made = TestRepository(tmp_path / "library")
    made.commit("one", app="a: 1\n", deep__b="b: 1\n")
    return made


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    made = TestRepository(tmp_path / "repo")
    made.commit("first", own="o: 1\n")
    return made


@pytest.fixture
def look(repository: TestRepository, tmp_path: Path) -> Look:
    """Look once at the repository as a remote one (or in place, without a prefix)."""

    def look(prefix: str = "file://", *, submodules: bool = True, sub_path: str = "") -> object:
        async def once() -> object:
            source = GitSource(
                Address(f"{prefix}{repository.path}", "main", sub_path),
                clock=SystemClock(),
                state_dir=tmp_path / "state",
                options=GitOptions(
                    interval=3600, backoff=Backoff(3600, 3600), submodules=submodules
                ),
            )
            states = source.snapshots()
            try:
                async with asyncio.timeout(30):
                    return await anext(states)
            finally:
                await source.close()
                await states.aclose()  # type: ignore[attr-defined] - a generator

        return asyncio.run(once())

    return look  # type: ignore[return-value] - what a source yields


def include(repository: TestRepository, path: str, url: str, commit: str) -> None:
    """Commit a submodule as data: git itself would refuse the hostile ones."""
    entry = f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n'
    modules = repository.path / ".gitmodules"
    modules.write_text((modules.read_text() if modules.exists() else "") + entry)
    repository.git("add", ".gitmodules")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    repository.git("commit", "--quiet", "--message", f"include {path}")


def contents(seen: object) -> dict[str, bytes]:
    assert isinstance(seen, Snapshot), seen
    files = [file for file in seen.files.values() if not file.refused]
    read = seen.contents.read(files)
    return {file.path: data for file, data in zip(files, read, strict=True)}


def refused(seen: object, path: str) -> str:
    assert isinstance(seen, Snapshot), seen
    return seen.files[path].refused


@pytest.mark.parametrize("prefix", ["file://", ""])
def test_the_files_of_a_submodule_are_among_the_others(
    look: Look, repository: TestRepository, library: TestRepository, prefix: str
) -> None:
    include(repository, "lib", "../library", library.git("rev-parse", "HEAD"))
    assert contents(look(prefix)) == {
        "lib/app.yaml": b"a: 1\n", "lib/deep/b.yaml": b"b: 1\n", "own.yaml": b"o: 1\n",
    }  # fmt: skip


def test_without_the_word_a_submodule_is_refused(
    look: Look, repository: TestRepository, library: TestRepository
) -> None:
    include(repository, "lib", "../library", library.git("rev-parse", "HEAD"))
    assert "submodules: true" in refused(look(submodules=False), "lib")


def test_the_commit_that_the_parent_names_is_read(
    look: Look, repository: TestRepository, library: TestRepository
) -> None:
    before = library.git("rev-parse", "HEAD")
    library.commit("two", app="a: 2\n")
    include(repository, "lib", "../library", before)
    assert contents(look())["lib/app.yaml"] == b"a: 1\n"
    repository.git("update-index", "--cacheinfo", f"160000,{library.git('rev-parse', 'HEAD')},lib")
    repository.git("commit", "--quiet", "--message", "newer")
    assert contents(look())["lib/app.yaml"] == b"a: 2\n"


def test_a_kustomization_may_refer_to_a_submodule(
    look: Look, repository: TestRepository, library: TestRepository
) -> None:
    repository.commit("build", kustomization="resources: [lib/app.yaml]\n")
    include(repository, "lib", "../library", library.git("rev-parse", "HEAD"))
    seen = look()
    assert isinstance(seen, Snapshot)
    assert seen.tree is not None
    assert list(seen.contents.read([seen.tree["lib/app.yaml"]])) == [b"a: 1\n"]


def test_submodules_of_submodules_end(
    look: Look, repository: TestRepository, library: TestRepository
) -> None:
    for _ in range(6):  # each commit includes the one before: as deep as one likes
        include(library, "again", "../library", library.git("rev-parse", "HEAD"))
    include(repository, "lib", "../library", library.git("rev-parse", "HEAD"))
    assert "deeper than 4" in refused(look(), "lib/again/again/again/again")


def test_a_commit_that_is_gone_holds_the_source(
    look: Look, repository: TestRepository, library: TestRepository
) -> None:
    assert library
    include(repository, "lib", "../library", "1" * 40)
    seen = look()
    assert isinstance(seen, SourceProblem)
    assert seen.reason in ("SubmoduleMissing", "Unreachable")


@pytest.mark.parametrize(
    "url",
    ["--upload-pack=touch /tmp/x", "ext::sh -c touch% /tmp/x", "https://elsewhere.example.com/x",
     "ssh://-oProxyCommand=x/y", "../../../../../../../../../../x", "/etc", "", "git@host:x"],
)  # fmt: skip
def test_a_hostile_address_is_refused_and_never_used(
    look: Look, repository: TestRepository, url: str
) -> None:
    include(repository, "lib", url, "1" * 40)
    assert "the submodule is not followed" in refused(look(), "lib")


def test_hostile_settings_of_a_submodule_do_nothing(
    look: Look, repository: TestRepository, library: TestRepository, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    include(repository, "lib", "../library", library.git("rev-parse", "HEAD"))
    modules = repository.path / ".gitmodules"
    modules.write_text(
        modules.read_text() + f"\tupdate = !touch {mark}\n"
        f"[include]\n\tpath = /etc/hostname\n[core]\n\tsshCommand = touch {mark}\n"
        '[submodule "../../evil"]\n\tpath = ../../evil\n\turl = ../library\n'
    )
    repository.git("commit", "--quiet", "--message", "hostile", ".gitmodules")
    assert "lib/app.yaml" in contents(look())
    assert not mark.exists()


def test_links_of_a_submodule_stay_in_it(
    look: Look, repository: TestRepository, library: TestRepository
) -> None:
    (library.path / "out.yaml").symlink_to("../own.yaml")
    include(repository, "lib", "../library", library.commit("a link"))
    assert "outside the source's tree" in refused(look(), "lib/out.yaml")


@pytest.mark.parametrize(
    ("parent", "url", "whole"),
    [
        ("https://h/a/b.git", "../c.git", "https://h/a/c.git"),
        ("https://h/a/b", "./c", "https://h/a/b/c"),
        ("https://h/a/b", "../../x/c", "https://h/x/c"),
        ("https://h/a/b", "https://H:443/z", "https://H:443/z"),
        ("git@h:a/b.git", "../c.git", "git@h:a/c.git"),
        ("git@h:a", "../c.git", "git@h:c.git"),
        ("git@h:a/b", "ssh://git@h/x", "ssh://git@h/x"),
        ("/srv/a/b", "../c", "/srv/a/c"),
    ],
)
def test_relative_addresses_are_resolved_as_git_does(parent: str, url: str, whole: str) -> None:
    assert _resolved(url, parent) == whole


@pytest.mark.parametrize(
    ("parent", "url"),
    [
        ("https://h/a/b", "../../../c"),
        ("https://h/a/b", "http://h/c"),
        ("https://h/a/b", "https://h:8443/c"),
        ("https://h/a/b", "file:///c"),
        ("https://h/a/b", "git@h:c"),
        ("https://h/a/b", "/srv/c"),
        ("git@h:a", "../../c"),
        ("/srv/a", "https://h/c"),
        ("/srv/a", "../../../c"),
    ],
)
def test_a_submodule_does_not_leave_its_parents_host(parent: str, url: str) -> None:
    with pytest.raises(AddressError):
        _resolved(url, parent)
