"""`make soak MINUTES=N [SEED=S]`: real faults on a real engine, on a host of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.soak.soak import soak


def main(minutes: float, seed: int) -> int:
    """Soak; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="reconciler-soak-") as folder:
        try:
            soak(Path(folder), minutes * 60, seed, lambda line: print(line, flush=True))
        except AssertionError as error:
            print(f"seed {seed}: {error}")
            return 1
    print(f"{minutes:g} minutes: whole after every fault, and nothing has grown")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
