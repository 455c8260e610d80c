"""`make bench`: what the project promises of its speed, measured on this machine now.

`python -m benchmarks [api] [pods] [manifests] [scheduling] [sources]` measures what is named,
all of it by default.
"""

import sys

from benchmarks import api, pods, scale, scheduling, sources

PARTS = {
    "pods": pods.main,
    "manifests": scale.main,
    "api": api.main,
    "sources": sources.main,
    "scheduling": scheduling.main,
}

chosen, sys.argv[1:] = sys.argv[1:] or list(PARTS), []
if unknown := [name for name in chosen if name not in PARTS]:
    raise SystemExit(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
for name in chosen:
    PARTS[name]()
