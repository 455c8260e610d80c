"""`make bench`: what the project promises of its speed, measured on this machine now.

`python -m benchmarks [api] [pods] [manifests] [scheduling] [services] [sources]
[dns]` measures what is named, all of it by default.
"""

from __future__ import annotations

import sys

from benchmarks import api, pods, proxy_dns, scale, scheduling, services, sources

PARTS = {
    "pods": pods.main,
    "manifests": scale.main,
    "api": api.main,
    "sources": sources.main,
    "scheduling": scheduling.main,
    "services": services.main,
    "dns": proxy_dns.main,
}

chosen, sys.argv[1:] = sys.argv[1:] or list(PARTS), []  # the parts read their own arguments
unknown = set(chosen) - set(PARTS)
if unknown:
    raise SystemExit(
        f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
    )
for name, part in PARTS.items():
    if name in chosen:
        part()
