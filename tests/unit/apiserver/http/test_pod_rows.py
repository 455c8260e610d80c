"""READY, STATUS and RESTARTS of pods with init containers and sidecars, as kubectl has them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.apiserver.http.tables.pods import row
from reconciler.model.pod import Pod

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENDED = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-01T11:59:00Z"}}
RUNS: dict[str, Any] = {"running": {}}
LOOP = {"waiting": {"reason": "CrashLoopBackOff"}}
WAITS = {"waiting": {"reason": "PodInitializing"}}


def status(name: str, state: dict[str, Any], restarts: int = 0, **fields: Any) -> dict[str, Any]:
    good = "running" in state
    last = ENDED if restarts else {}
    given = {"name": name, "state": state, "lastState": last, "restartCount": restarts}
    return {**given, "ready": good, "started": good, **fields}


def told(initial: list[dict[str, Any]], main: dict[str, Any], *, initialized: bool) -> list[str]:
    """Return the columns of a pod with the init containers `first`, and the sidecars `s`, `t`."""
    condition = {"type": "Initialized", "status": str(initialized)}
    pod = {
        "metadata": {"name": "web"},
        "spec": {
            "containers": [{"name": "app"}],
            "initContainers": [
                {"name": "first"},
                {"name": "s", "restartPolicy": "Always"},
                {"name": "t", "restartPolicy": "Always"},
            ],
        },
        "status": {
            "phase": "Running" if initialized else "Pending",
            "conditions": [condition],
            "initContainerStatuses": initial,
            "containerStatuses": [main],
        },
    }
    cells = row(Pod.model_validate_json(json.dumps(pod)), NOW)["cells"]
    return cells[1:4]


FIRST = status("first", ENDED)
S, T = status("s", RUNS), status("t", RUNS)


@pytest.mark.parametrize(
    ("initial", "main", "initialized", "columns"),
    [
        ([FIRST, S, T], status("app", RUNS), True, ["3/3", "Running", "0"]),
        (
            [FIRST, S, status("t", WAITS)],
            status("app", WAITS),
            False,
            ["1/3", "Init:2/3", "0"],
        ),
        (
            [status("first", LOOP, 2), status("s", WAITS), status("t", WAITS)],
            status("app", WAITS),
            False,
            ["0/3", "Init:CrashLoopBackOff", "2 (60s ago)"],
        ),
        # The pod is initialized: a sidecar that starts again hides nobody who serves.
        (
            [FIRST, status("s", LOOP, 3), T],
            status("app", RUNS),
            True,
            ["1/3", "Init:CrashLoopBackOff", "3 (60s ago)"],
        ),
        (
            [FIRST, S, status("t", LOOP, 3)],
            status("app", LOOP, 1),
            True,
            ["1/3", "CrashLoopBackOff", "4 (60s ago)"],
        ),
    ],
)
def test_the_columns(
    initial: list[dict[str, Any]], main: dict[str, Any], initialized: bool, columns: list[str]
) -> None:
    assert told(initial, main, initialized=initialized) == columns
