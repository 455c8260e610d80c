"""Bugs put in by hand are where they were meant to be, and a few of them are found here and now."""

from __future__ import annotations

import pytest

from tests.sim.bugs import MUTATIONS
from tests.sim.mutant import Moved, Mutation
from tests.sim.mutations import hunt

QUICK = (
    "ignore that a start may have had effect",
    "forget the addresses of sandboxes that were found",
)


def name(mutation: Mutation) -> str:
    return mutation.name


@pytest.mark.parametrize("mutation", MUTATIONS, ids=name)
def test_the_code_that_a_mutation_changes_is_where_it_was(mutation):
    compile(mutation.applied(), mutation.module, "exec")


def test_code_that_has_moved_is_told():
    gone = Mutation("what is not there", "reconciler.core.queue", "no such line", "")
    with pytest.raises(Moved, match=r"what is not there: reconciler\.core\.queue has 0 times"):
        gone.applied()


@pytest.mark.parametrize("mutation", [m for m in MUTATIONS if m.name in QUICK], ids=name)
def test_the_simulation_finds_it(mutation):
    assert hunt(mutation, most=12).broken
