"""What differs between two revisions is known without comparing them, and never too little."""

from __future__ import annotations

import gc
import json

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.clock import SystemClock
from reconciler.desired.load import Loader
from reconciler.desired.objecttree import ObjectTree, difference, with_annotations
from reconciler.source.snapshot import Snapshot
from reconciler.source.tree import DirectoryTree
from tests.unit.sync.world import desired, manifest

NAMES = st.sampled_from("abcdef")
TREES = st.dictionaries(NAMES, st.sampled_from(("1", "2", "noted")), max_size=6)


def declared(spec):
    notes = {"annotations": {"x": "y"}}
    return desired(*(
        manifest("ConfigMap", name, data={"v": value}, metadata=notes if value == "noted" else {})
        for name, value in spec.items()
    ))  # fmt: skip


def really(new, old):
    return {key for key in new.keys() | old.keys() if new.get(key) is not old.get(key)}


@given(TREES, TREES, TREES)
def test_a_difference_has_every_key_that_differs_both_ways(first, second, third):
    one = ObjectTree(declared(first))
    changes = declared(second)
    two = ObjectTree({**one, **changes}, one, changes)
    three = ObjectTree(declared(third))
    for new, old in ((one, two), (two, one), (one, three), (two, three), (three, dict(one))):
        assert really(new, old) <= set(difference(new, old))
    assert difference(two, two) == ()
    assert set(difference(two, one)) == set(changes)
    for tree in (one, two, three):
        noted = sorted(key for key, each in tree.items() if each.annotated)
        assert [each.key for each in with_annotations(tree)] == noted


def test_a_tree_keeps_none_of_its_past():
    one = ObjectTree(declared({"a": "1"}))
    two = ObjectTree(one, one, ())
    del one
    gc.collect()
    other = ObjectTree(dict(two))
    assert list(difference(two, other)) == []


def test_the_loader_tells_what_a_commit_changed(tmp_path):
    loader, clock = Loader(), SystemClock()
    tree = DirectoryTree(tmp_path, clock)

    def load():
        tree.rescan()
        return loader.load(Snapshot("r", "", clock.now(), "", tree.files(), tree)).objects

    def write(name, value):
        text = json.dumps(manifest("ConfigMap", name, data={"v": value}))
        (tmp_path / f"{name}.yaml").write_text(text)

    for name in "abc":
        write(name, "1")
    first = load()
    write("a", "2")
    write("d", "1")
    (tmp_path / "b.yaml").unlink()
    second = load()
    assert sorted(key.name for key in difference(second, first)) == ["a", "b", "d"]
    assert difference(load(), second) in ((), [])
