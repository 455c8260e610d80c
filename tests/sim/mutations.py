"""`make sim-mutations`: hunts for each bug of `bugs.py`, and prints how it was found."""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.sim.bugs import MUTATIONS
from tests.sim.mutant import ROOT, Mutation, put_in

MOST = 300
"""Histories in which a mutation may show after which it counts as not found."""

_BATCH = 25


@dataclass(frozen=True, slots=True)
class Hunt:
    """How a mutation was found: the law, the seed, after how many histories; "" when not."""

    mutation: Mutation
    broken: str
    seed: int
    histories: int
    seconds: float


def hunt(mutation: Mutation, most: int = MOST) -> Hunt:
    """Look for the bug in a process of its own."""
    began = time.monotonic()
    number = MUTATIONS.index(mutation)
    argv = [sys.executable, "-m", "tests.sim.mutations", "--hunt", str(number), "--most", str(most)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{mutation.name}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Hunt(mutation, seconds=time.monotonic() - began, **found)


def _hunt_here(mutation: Mutation, most: int) -> dict[str, Any]:
    put_in(mutation)
    from tests.sim.draw import drawn
    from tests.sim.play import play, sweep

    gc.disable()
    worth = filter(mutation.may_show_in, map(drawn, itertools.count()))
    for count, history in enumerate(itertools.islice(worth, most), 1):
        broken = play(history).broken
        if broken:
            return {"broken": broken, "seed": history.seed, "histories": count}
        if count % _BATCH == 0:
            sweep()
    return {"broken": "", "seed": -1, "histories": most}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutations")
    parser.add_argument("--hunt", type=int, help="hunt this one here (used by the others)")
    parser.add_argument("--only", default="", help="those whose name contains this")
    parser.add_argument("--most", type=int, default=MOST, help=f"histories for each ({MOST})")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.hunt is not None:
        print(json.dumps(_hunt_here(MUTATIONS[options.hunt], options.most)))
        return 0
    chosen = [each for each in MUTATIONS if options.only in each.name]
    found = 0
    with ThreadPoolExecutor(options.workers) as pool:
        for result in pool.map(lambda each: hunt(each, options.most), chosen):
            found += bool(result.broken)
            _tell(result)
    print(f"{found} of {len(chosen)} mutations found ({100 * found / max(1, len(chosen)):.0f} %)")
    return found < len(chosen)


def _tell(result: Hunt) -> None:
    outcome = f"seed {result.seed}: {result.broken[:110]}" if result.broken else "NOT FOUND"
    print(f"{result.mutation.name}\n    after {result.histories} histories, {outcome}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
