"""Controllers that need no look after a start: a look would change nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from reconciler.controllers.replication import rollout
from reconciler.controllers.replication.idle import is_idle
from reconciler.controllers.replication.policy import is_rolled, policy_of
from reconciler.controllers.replication.progress import COMPLETE, PROGRESSING, assess
from reconciler.controllers.replication.status import REPLICA_FAILURE, status_of
from reconciler.model.replication import (
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)
from reconciler.model.retirement import REMOVE_AT
from reconciler.model.time import format_time
from tests.unit.controllers.builders import make_rc

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def looked_at(rc: ReplicationController) -> ReplicationControllerStatus:
    """Return what the status of a controller without pods says after a look."""
    progress = None
    if is_rolled(rc) and REMOVE_AT not in rc.metadata.annotations:
        pods = rollout.generations((), "digest")
        progress = assess(rc, pods, policy_of(rc), NOW, NOW).condition
    return status_of(rc, (), 0, NOW, failure=None, progressing=progress)


@pytest.mark.parametrize("rolled", [True, False])
@pytest.mark.parametrize("replicas", [0, 1, None])
@pytest.mark.parametrize("retired", [True, False])
def test_only_what_wants_nothing_and_said_so(
    rolled: bool, replicas: int | None, retired: bool
) -> None:
    notes = {REMOVE_AT: format_time(NOW)} if retired else {}
    rc = make_rc(replicas=replicas, rolled=rolled, annotations=notes)
    assert not is_idle(rc)
    assert is_idle(rc.replace(status=looked_at(rc))) == (replicas == 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"observed_generation": 2},
        {"replicas": 1},
        {"fully_labeled_replicas": 1},
        {"ready_replicas": 1},
        {"available_replicas": 1},
        {"conditions": ()},
    ],
)
def test_a_status_that_a_look_would_change_is_looked_at(wrong: dict[str, Any]) -> None:
    rc = make_rc(replicas=0, rolled=True)
    said = looked_at(rc).replace(**wrong)
    assert looked_at(rc.replace(status=said)) != said
    assert not is_idle(rc.replace(status=said))


@pytest.mark.parametrize("rolled", [True, False])
@pytest.mark.parametrize("kinds", [*product(*[(0, 1, 2, 3)] * 3)])
def test_no_condition_hides_a_change(rolled: bool, kinds: tuple[int, ...]) -> None:
    several = (
        ReplicationControllerCondition(type="Other", status="True"),
        ReplicationControllerCondition(type=REPLICA_FAILURE, status="True"),
        ReplicationControllerCondition(
            type=PROGRESSING, status="True", reason=COMPLETE, message="0 pods available"
        ),
        ReplicationControllerCondition(
            type=PROGRESSING, status="True", reason=COMPLETE, message="2 pods available"
        ),
    )
    rc = make_rc(replicas=0, rolled=rolled)
    said = looked_at(rc).replace(conditions=tuple(several[kind] for kind in kinds))
    rc = rc.replace(status=said)
    assert not is_idle(rc) or looked_at(rc) == said


def test_what_is_being_deleted_is_looked_at() -> None:
    rc = make_rc(replicas=0)
    rc = rc.replace(status=looked_at(rc))
    meta = rc.metadata.replace(deletion_timestamp=format_time(NOW))
    assert is_idle(rc)
    assert not is_idle(rc.replace(metadata=meta))
