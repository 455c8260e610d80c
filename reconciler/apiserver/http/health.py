"""Health, version and metrics: the paths that no resource has. Called by `api.py`."""

from __future__ import annotations

import asyncio
import platform
from collections import Counter

from reconciler.apiserver.http.message import TEXT, Query, Reply

_CHECKS = ("ping", "log", "store")
PATHS = ("/healthz", "/livez", "/readyz")

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def version() -> dict[str, str]:
    """Return /version: the Kubernetes whose API this is, and the program that serves it."""
    machine = _MACHINES.get(platform.machine(), platform.machine())
    return {
        "major": "1",
        "minor": "31",
        "gitVersion": "v1.31.0+reconciler",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.22.5",
        "compiler": f"python{platform.python_version()}",
        "platform": f"linux/{machine}",
    }


def health(path: str, query: Query) -> Reply | None:
    """Return the answer of a health path, None for a check that does not exist.

    Of the query count `verbose`, and `exclude` as often as it is given.
    """
    base, _, check = path[1:].partition("/")
    if f"/{base}" not in PATHS:
        return None
    if check:
        return Reply(200, b"ok", TEXT) if check in _CHECKS else None
    if "verbose" in query:
        excluded = query.get("exclude", ())
        lines = [f"[+]{name} {'excluded: ' * (name in excluded)}ok" for name in _CHECKS]
        unknown = ",".join(f'"{name}"' for name in excluded if name not in _CHECKS)
        if unknown:
            lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}")
        return Reply(200, "\n".join([*lines, f"{base} check passed\n"]).encode(), TEXT)
    return Reply(200, b"ok", TEXT)


class Metrics:
    """How many requests were answered, by verb and code."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()

    def count(self, method: str, code: int) -> None:
        """Note one answer."""
        self._requests[method, code] += 1

    def text(self, connections: int, revision: int) -> str:
        """Return the metrics in Prometheus' text format. Called on the event loop."""
        lines = [
            "# HELP apiserver_request_total Requests answered, by verb and code.",
            "# TYPE apiserver_request_total counter",
        ]
        lines += [
            f'apiserver_request_total{{verb="{verb}",code="{code}"}} {count}'
            for (verb, code), count in sorted(self._requests.items())
        ]
        lines += [
            "# HELP apiserver_open_connections Client connections that are open.",
            "# TYPE apiserver_open_connections gauge",
            f"apiserver_open_connections {connections}",
            "# HELP apiserver_storage_revision The newest revision of the store.",
            "# TYPE apiserver_storage_revision gauge",
            f"apiserver_storage_revision {revision}",
            "# HELP reconciler_tasks Tasks of the daemon's event loop.",
            "# TYPE reconciler_tasks gauge",
            f"reconciler_tasks {len(asyncio.all_tasks())}",
        ]
        return "\n".join([*lines, ""])
