"""Bugs put in by hand are where they were meant to be, and a few of them are found here and now."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.sim.bugs import MUTATIONS
from tests.sim.mutant import ROOT, Moved, Mutation
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


_SHRINK = """
import json, sys
from tests.sim.bugs import MUTATIONS
from tests.sim.mutant import put_in
put_in(next(each for each in MUTATIONS if each.name == sys.argv[1]))
from tests.sim.__main__ import named
from tests.sim.draw import drawn
from tests.sim.play import play
from tests.sim.shrink import shrunk
found = next(verdict for verdict in map(play, map(drawn, range(60))) if verdict.broken)
small = shrunk(found.history, found.broken)
print(json.dumps({
    "found": found.broken,
    "all": len(found.history.kept),
    "kept": [type(step.what).__name__ for step in small.happening()],
    "once": play(small).digest,
    "again": play(named(small.name)).digest,
    "replayed": play(named(small.name)).broken,
}))
"""


def test_what_is_found_is_made_small_and_replays_by_its_name():
    told = subprocess.run(
        [sys.executable, "-c", _SHRINK, "forget the addresses of sandboxes that were found"],
        capture_output=True, check=True, cwd=ROOT,
    )  # fmt: skip
    small = json.loads(told.stdout)
    assert small["found"].startswith("no address used twice")
    assert small["replayed"].startswith("no address used twice")
    assert len(small["kept"]) < small["all"]
    assert {"Crash", "Stop", "Arm", "Reboot", "DiskFull"} & set(small["kept"]), "it took a restart"
    assert small["once"] == small["again"]
