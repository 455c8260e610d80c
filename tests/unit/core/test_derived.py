"""What differs between two maps is known without comparing them, and never too little."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.derived import Derived, difference

MAPS = st.dictionaries(st.sampled_from("abcdef"), st.integers(), max_size=6)


def really(new, old):
    return {key for key in new.keys() | old.keys() if new.get(key) is not old.get(key)}


@given(MAPS, MAPS, MAPS)
def test_a_difference_has_every_key_that_differs_both_ways(first, changes, third):
    one = Derived(first)
    two = Derived({**one, **changes}, one, changes)
    three = Derived(third)
    for new, old in ((one, two), (two, one), (one, three), (two, three), (three, dict(one))):
        assert really(new, old) <= set(difference(new, old))
    assert difference(two, two) == ()
    assert set(difference(two, one)) == set(changes)


def test_a_map_keeps_none_of_its_past():
    one = Derived({"a": object()})
    two = Derived(one, one, ())
    del one
    gc.collect()
    assert list(difference(two, Derived(dict(two)))) == []
