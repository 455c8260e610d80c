"""What a revision knows of its objects, and of the revision before."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.clock import SystemClock
from reconciler.core.derived import difference
from reconciler.desired.load import Loader
from reconciler.desired.objecttree import ObjectTree, instructed
from reconciler.source.snapshot import Snapshot
from reconciler.source.tree import DirectoryTree
from tests.unit.sync.world import desired, manifest

NAMES = st.sampled_from("abcdef")
TREES = st.dictionaries(NAMES, st.sampled_from(("1", "2", "noted")), max_size=6)


def declared(spec):
    notes = {"annotations": {"reconciler.dev/wave": "1"}}
    return desired(*(
        manifest("ConfigMap", name, data={"v": value}, metadata=notes if value == "noted" else {})
        for name, value in spec.items()
    ))  # fmt: skip


@given(TREES, TREES, TREES, st.booleans())
def test_what_is_selected_is_the_same_however_a_tree_was_made(first, second, third, asked):
    one = ObjectTree(declared(first))
    if asked:
        instructed(one)
    changes = declared(second)
    two = ObjectTree({**one, **changes}, one, changes)
    later = declared(third)
    three = ObjectTree({**two, **later}, two, later)
    for tree in (three, two, one):
        noted = sorted(key for key, each in tree.items() if each.instructed)
        assert [each.key for each in instructed(tree)] == noted
        assert instructed(dict(tree)) == instructed(tree)


def test_annotations_of_others_give_no_instructions():
    (each,) = declared({"a": "1"}).values()
    (noted,) = declared({"a": "noted"}).values()
    (other,) = desired(
        manifest("ConfigMap", "a", metadata={"annotations": {"example.com/wave": "1"}})
    ).values()
    assert [each.instructed, noted.instructed, other.instructed] == [False, True, False]


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
