"""`make torture KILLS=N`: N kills of a writer of the real store, 25 on each file.

The first file that is not as it must be ends it; its seed replays the choices of the clients, not
the moment of the kill.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.torture.crash import torture

EACH = 25


def main(kills: int) -> int:
    """Kill so many times; return the exit code."""
    began = time.monotonic()
    for seed in range(1, -(-kills // EACH) + 1):
        with tempfile.TemporaryDirectory(prefix="reconciler-torture-") as folder:
            wrong = torture(Path(folder, "store.db"), EACH, seed, sealed=seed % 2 == 0)
        if wrong:
            print(wrong)
            return 1
        if seed % 20 == 0:
            print(
                f"{seed * EACH} kills, nothing lost, {time.monotonic() - began:.0f} s", flush=True
            )
    print(f"{kills} kills: nothing acknowledged was lost, every history is linearizable")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
