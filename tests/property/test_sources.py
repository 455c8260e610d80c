"""For any history of several sources that want the same objects: who has what, what lives on."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reconciler.model.gitops import SourceSpec
from reconciler.model.meta import ObjectKey
from reconciler.sync.identity import source_of
from tests.conftest import VirtualClock, VirtualLoop
from tests.unit.sync.fleet import Fleet
from tests.unit.sync.world import manifest, settings

SOURCES = ("one", "two", "three")
NAMES = ("a", "b", "c")

trees = st.frozensets(st.sampled_from(NAMES), max_size=3)
steps = st.tuples(st.sampled_from(SOURCES), trees)


def key(name):
    return ObjectKey("ConfigMap", "web", name)


async def show(fleet, source, tree):
    """Show a tree, with an object that no other source has; wait until nothing more happens."""
    first = [manifest("Namespace", "web")] if source == "one" else []
    objects = [settings(name, of=source) for name in sorted(tree)]
    fleet.feed(source).show(*first, settings(f"own-{source}"), *objects)
    seen = -1
    while seen != fleet.store.revision:
        seen = fleet.store.revision
        await asyncio.sleep(1)


async def follow(fleet, history):
    """Show each step; after each one check what must hold."""
    wanted = {source: frozenset() for source in SOURCES}
    known = {}
    async with fleet.running():
        for source in SOURCES:
            await show(fleet, source, frozenset())
        for source, tree in history:
            before = set().union(*wanted.values())
            wanted[source] = tree
            await show(fleet, source, tree)
            after = set().union(*wanted.values())
            for name in NAMES:
                check(fleet, known, name, wanted_before=name in before, wanted=name in after)
        for source in SOURCES:  # whoever is alone has all that it wants
            for other in SOURCES:
                if other != source and wanted[other]:
                    wanted[other] = frozenset()
                    await show(fleet, other, frozenset())
            assert {source_of(fleet.live.objects[key(name)]) for name in wanted[source]} <= {source}


def check(fleet, known, name, *, wanted_before, wanted):
    """Nothing lives that nobody declares, and what is wanted all the while is never made again.

    A revision may be rejected for another object: then what it wants need not live, and what its
    source followed before lives on.
    """
    live = fleet.live.objects.get(key(name))
    if live is None:
        assert not (name in known and wanted_before and wanted), f"{name} is gone"
        known.pop(name, None)
        return
    assert fleet.live.declarations.of(key(name)), f"{name} lives on"
    if name in known and wanted_before:
        assert live.metadata.uid == known[name], f"{name} was made again"
    known[name] = live.metadata.uid
    assert live.data == {"of": source_of(live)}


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=8))
def test_no_object_is_made_again_while_some_source_wants_it(history):
    loop = VirtualLoop()
    try:
        specs = {name: SourceSpec(url=f"https://git.example.com/{name}") for name in SOURCES}
        fleet = Fleet(VirtualClock(loop), specs)
        loop.run_until_complete(follow(fleet, history))
    finally:
        loop.close()
