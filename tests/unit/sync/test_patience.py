from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.podstatus import LIVENESS_UNPROVEN, PodCondition, PodStatus
from reconciler.sync.patience import Patience

MADE = datetime(2026, 1, 1, 12, tzinfo=UTC)


def made(*conditions: str) -> Pod:
    told = tuple(PodCondition(type=name, status="True") for name in conditions)
    return Pod(
        metadata=ObjectMeta(name="a", creation_timestamp="2026-01-01T12:00:00Z"),
        status=PodStatus(phase="Running", conditions=told),
    )


def test_a_pod_has_its_time_to_be_ready() -> None:
    assert Patience(600).until(made()) == MADE + timedelta(seconds=600)


def test_one_that_is_ready_waits_for_its_first_liveness_probe_as_long_as_that_takes() -> None:
    assert Patience(600).until(made("Ready", LIVENESS_UNPROVEN)) is None
