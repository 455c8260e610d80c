"""`make sim`: plays many histories, or replays one; `python -m tests.sim --help`."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time

from tests.sim.coverage import Coverage
from tests.sim.draw import drawn
from tests.sim.history import History
from tests.sim.play import Verdict, play
from tests.sim.shrink import shrunk

_BATCH = 25
"""Histories after which a worker ends: cheaper than to collect what they left."""


def main() -> int:
    options = _options()
    if options.seed:
        return _replay(named(options.seed), trace=not options.brief)
    return _many(range(options.first, options.first + options.seeds), options.workers)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seed", help="replay this one: SEED, or SEED:STEP,STEP,... as printed")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to play (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--brief", action="store_true", help="replay without the trace")
    return parser.parse_args()


def named(name: str) -> History:
    """Return the history of a name as `History.name` has it."""
    seed, _, kept = name.partition(":")
    history = drawn(int(seed))
    return history.only(tuple(map(int, kept.split(",")))) if kept else history


def _replay(history: History, *, trace: bool) -> int:
    verdict = play(history, keep_trace=True)
    if trace:
        print("\n".join(verdict.trace))
    _tell(history, verdict)
    return bool(verdict.broken)


def _tell(history: History, verdict: Verdict) -> None:
    for step in history.happening():
        print(f"  {step.at:8.3f} {step.what}")
    outcome = f"BROKEN {verdict.broken}" if verdict.broken else "every law held"
    print(
        f"{outcome}\n  {verdict.seconds:.0f} s, {verdict.steps} steps, trace {verdict.digest:08x}"
    )


def _many(seeds: range, workers: int) -> int:
    began, failed, spent, coverage = time.monotonic(), 0, 0.0, Coverage()
    play(drawn(seeds.start))  # what the first costs, no worker has to pay again
    gc.disable()
    gc.freeze()
    with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=_BATCH) as pool:
        for number, (verdict, seconds) in enumerate(pool.imap_unordered(_one, seeds), 1):
            spent += seconds
            coverage.add(verdict)
            if verdict.broken:
                failed += 1
                _report(verdict)
            if number % 500 == 0:
                print(f"{number} histories, {failed} broke a law", flush=True)
    wall = time.monotonic() - began
    print(*coverage.lines(), sep="\n")
    print(
        f"{len(seeds)} histories from seed {seeds.start}: {failed} broke a law; "
        f"{spent / max(1, len(seeds)):.3f} s of processor each, {wall:.0f} s in all"
    )
    return bool(failed)


def _one(seed: int) -> tuple[Verdict, float]:
    """Play one in a worker."""
    began = time.process_time()
    verdict = play(drawn(seed))
    return verdict, time.process_time() - began


def _report(verdict: Verdict) -> None:
    print(f"\nseed {verdict.history.seed}: BROKEN {verdict.broken[:400]}", flush=True)
    small = shrunk(verdict.history, verdict.broken)
    print(f"smallest: make sim SEED={small.name}")
    _tell(small, play(small))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
