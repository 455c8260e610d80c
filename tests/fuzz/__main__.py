"""Feeds the targets with what coverage leads to: `python -m tests.fuzz [--seconds N] [TARGET...]`.

Each target runs in a process of its own under libFuzzer's limits: an input may take 5 seconds and
the process 1 GB. A finding ends the run with its input in `fuzz-findings/`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["reconciler"]):
    from tests.fuzz.targets import TARGETS

FINDINGS = Path("fuzz-findings")


def _one(name: str, seconds: int, corpus: str) -> None:
    """Fuzz a target in this process; libFuzzer ends it."""
    limits = ["-timeout=5", "-rss_limit_mb=1024", "-max_len=65536", "-verbosity=0"]
    found = f"-artifact_prefix={FINDINGS}/{name}-"
    arguments = [sys.argv[0], f"-max_total_time={seconds}", *limits, found, corpus]
    atheris.Setup(arguments, TARGETS[name].run)
    atheris.Fuzz()


def _all(names: list[str], seconds: int) -> int:
    """Fuzz targets one after the other; return how many have a fault."""
    FINDINGS.mkdir(exist_ok=True)
    failed = []
    for name in names:
        with tempfile.TemporaryDirectory() as corpus:
            for number, seed in enumerate(TARGETS[name].seeds):
                Path(corpus, str(number)).write_bytes(seed)
            command = [sys.executable, "-m", "tests.fuzz", "--inside", corpus]
            done = subprocess.run([*command, "--seconds", str(seconds), name], check=False)
        print(f"{name}: {'a fault' if done.returncode else f'nothing found in {seconds} s'}")
        if done.returncode:
            failed.append(name)
    return len(failed)


def main() -> None:
    """Fuzz what is named, everything by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--inside", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no such target: {', '.join(unknown)}")
    if options.inside:
        _one(names[0], options.seconds, options.inside)
    sys.exit(1 if _all(names, options.seconds) else 0)


if __name__ == "__main__":
    main()
