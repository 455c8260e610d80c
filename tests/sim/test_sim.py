"""The simulation as a test: some histories, the seeds that found bugs, and that a seed is one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.sim.__main__ import named
from tests.sim.coverage import Coverage
from tests.sim.draw import drawn
from tests.sim.history import History
from tests.sim.misfortunes import EVERY, names
from tests.sim.play import play
from tests.sim.shrink import shrunk

HISTORIES = int(os.environ.get("RECONCILER_SIM_HISTORIES", "40"))
_FIRST = 1_000

FOUND = {
    "7886": "what a revision declared that never went on was not pruned when the next one came",
    "21476": "a service had the broadcast address of its range, and after a restart another too",
    "50067:0,1,2,3,4,5,6": "a pod left its services while the engine could not tell of it",
    "300205:0,3,4,9,14": "a pod that could not be told to run again was an unexpected error",
    "702177:0,1,2,3,4": "a removal by name came late and took the next container of that name",
    "704667:0,8,12,14": "what came and went before a list was awaited for ever by the next commit",
    "920052": "a pod that was brought back while it was stopped was ready until it was killed",
    "920070": "a release that met a conflict was taken for done: more pods than surge allows",
}
"""Histories that broke a law once, by what `make sim SEED=` takes, and what was wrong.

A change of `draw.py` makes other histories of them: what they found is in `bugs.py`, too.
"""

_DIGESTS = """
import json, sys
from tests.sim.draw import drawn
from tests.sim.play import play
print(json.dumps([play(drawn(seed)).digest for seed in map(int, sys.argv[1:])]))
"""


def name(history: History) -> str:
    return f"make sim SEED={history.name}"


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + HISTORIES))
def test_every_law_holds_in_every_history(seed):
    history = drawn(seed)
    broken = play(history).broken
    assert not broken, f"{broken}\nsmallest: {name(shrunk(history, broken))}"


@pytest.mark.parametrize("found", FOUND)
def test_what_broke_once_holds_now(found):
    assert not play(named(found)).broken, FOUND[found]


def drawn_in(seeds: range) -> set[str]:
    return {kind for seed in seeds for step in drawn(seed).steps for kind in names(step.what)}


def test_every_kind_of_fault_is_drawn_within_300_seeds_wherever_they_begin():
    for first in (0, 7_777, 200_000):
        assert drawn_in(range(first, first + 300)) == EVERY


def test_the_histories_above_have_each_call_each_effect_and_each_sort_of_misfortune():
    here = drawn_in(range(_FIRST, _FIRST + 40))
    assert {sort for kind in EVERY for sort in sorts(kind)} - {
        sort for kind in here for sort in sorts(kind)
    } == set()


def sorts(kind: str) -> tuple[str, ...]:
    """Of what is drawn as pairs of a place and an effect, return both; else the kind itself."""
    place, _, effect = kind.partition(" ")
    area = place.partition(".")[0]
    if area in ("docker", "network"):
        return place, f"{area} {effect}"
    return (f"{area} {effect}",) if area in ("list", "watch") else (kind,)


def test_what_is_met_is_counted_and_told():
    coverage = Coverage()
    coverage.add(play(drawn(_FIRST + 1)))
    total, *rest = coverage.lines()
    assert re.fullmatch(r"of \d+ kinds of fault \d+ were drawn, \d+ were met", total)
    assert any(line.startswith("  met least often: ") for line in rest)


def test_a_seed_gives_one_history_whatever_the_hash_seed():
    seeds = ["3", "29", "126"]
    here = [play(drawn(int(seed))).digest for seed in seeds]
    again = [play(drawn(int(seed))).digest for seed in seeds]
    elsewhere = [_digests(seeds, hash_seed) for hash_seed in ("0", "4242")]
    assert [here, here, here] == [again, *elsewhere]


def _digests(seeds: list[str], hash_seed: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", _DIGESTS, *seeds],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)
