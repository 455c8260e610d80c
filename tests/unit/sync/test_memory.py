"""What is known to be equal outlives the process, and only where it still means something."""

from __future__ import annotations

from reconciler.core.kept import KeptFile
from reconciler.model.meta import ObjectKey
from reconciler.sync.inventory import StoreState
from reconciler.sync.memory import CleanMemory
from reconciler.sync.plan import Clean

CLEAN = {
    ObjectKey("ConfigMap", "web", "a"): Clean("d1", "7"),
    ObjectKey("Namespace", "", "web"): Clean("d2", "3"),
}


def kept(tmp_path, stamp="code"):
    return CleanMemory(KeptFile(tmp_path / "clean", stamp))


def test_it_comes_back_for_the_same_store(tmp_path):
    kept(tmp_path).keep(CLEAN, StoreState("u", 9))
    assert kept(tmp_path).recall(StoreState("u", 9)) == CLEAN
    assert kept(tmp_path).recall(StoreState("u", 12)) == CLEAN


def test_an_older_or_another_store_or_other_code_knows_nothing(tmp_path):
    kept(tmp_path).keep(CLEAN, StoreState("u", 9))
    assert kept(tmp_path).recall(StoreState("u", 8)) == {}
    assert kept(tmp_path).recall(StoreState("other", 12)) == {}
    assert kept(tmp_path, "new code").recall(StoreState("u", 9)) == {}


def test_without_a_file_nothing_is_known(tmp_path):
    assert kept(tmp_path).recall(StoreState("u", 9)) == {}
    CleanMemory(None).keep(CLEAN, StoreState("u", 9))
    assert CleanMemory(None).recall(StoreState("u", 9)) == {}


def test_what_is_kept_already_is_not_written_again(tmp_path):
    memory = kept(tmp_path)
    memory.keep(CLEAN, StoreState("u", 9))
    (tmp_path / "clean").unlink()
    memory.keep(dict(CLEAN), StoreState("u", 10))
    assert not (tmp_path / "clean").exists()
