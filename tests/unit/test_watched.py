"""What is kept of a source on disk goes with it, and nothing of another one."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.core.clock import SystemClock
from reconciler.model.gitops import SourceSpec
from reconciler.settings import Settings
from reconciler.source.access import Access
from reconciler.source.mirror import mirror_name
from reconciler.watched import forget, forget_unused, open_watched


@pytest.fixture
def state(tmp_path):
    for name in ("a", "a-b"):
        mirror = tmp_path / "git" / mirror_name(name, "https://h/x")
        (mirror / "objects").mkdir(parents=True)
        mirror.with_name(f"{mirror.name}.modules").mkdir()
    (tmp_path / "cache").mkdir()
    for name in ("a.clean", "a.declared", "a-b.clean"):
        (tmp_path / "cache" / name).touch()
    return tmp_path


def mirrors(state):
    return sorted(path.name for path in (state / "git").iterdir())


def both(name, location="https://h/x"):
    folder = mirror_name(name, location)
    return [folder, f"{folder}.modules"]


def test_nothing_is_left_of_a_source_that_is_gone(state):
    forget(state, "a")
    assert mirrors(state) == sorted(both("a-b"))
    assert [path.name for path in (state / "cache").iterdir()] == ["a-b.clean"]
    forget(state / "nowhere", "a")


def test_mirrors_that_an_earlier_version_named_by_their_address_alone_go(state):
    present = mirrors(state)
    old = mirror_name("", "https://h/x")
    others = ["notes", "0123", f"x{old}", f"{old}.txt"]
    for name in (old, f"{old}.modules", ".gone-1", *others):
        (state / "git" / name / "objects").mkdir(parents=True)
    (state / "git" / ("0" * 16)).write_text("a file of somebody")
    (state / "git" / ("1" * 16)).symlink_to(state / "git" / "notes")
    with ThreadPoolExecutor() as threads:
        forget_unused(state, threads)
        forget_unused(state / "nowhere", threads)
    assert mirrors(state) == sorted([*present, *others, "0" * 16, "1" * 16])


def test_a_source_that_follows_another_place_loses_the_mirror_of_the_former(state):
    settings = Settings(state_dir=state, run_dir=state / "run")

    def open_a(location):
        with ThreadPoolExecutor() as threads:
            spec = SourceSpec(url=location)
            open_watched(settings, "a", spec, Access(), SystemClock(), threads)
        return mirrors(state)

    assert open_a("https://h/x") == sorted([*both("a"), *both("a-b")])
    assert open_a("https://h/y") == sorted(both("a-b"))
