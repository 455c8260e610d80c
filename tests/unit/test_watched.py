"""What is kept of a source on disk goes with it, and nothing of another one."""

from reconciler.source.branch import mirror_name
from reconciler.watched import forget


def test_nothing_is_left_of_a_source_that_is_gone(tmp_path):
    mirrors = {name: tmp_path / "git" / mirror_name(name, "https://h/x") for name in ("a", "a-b")}
    for each in mirrors.values():
        (each / "objects").mkdir(parents=True)
        each.with_name(f"{each.name}.modules").mkdir()
    (tmp_path / "cache").mkdir()
    for name in ("a.clean", "a.declared", "a-b.clean"):
        (tmp_path / "cache" / name).touch()
    forget(tmp_path, "a")
    left = sorted(
        path.name for path in (*(tmp_path / "git").iterdir(), *(tmp_path / "cache").iterdir())
    )
    other = mirrors["a-b"].name
    assert left == sorted([other, f"{other}.modules", "a-b.clean"])
    forget(tmp_path / "nowhere", "a")
