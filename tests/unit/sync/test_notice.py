from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.model.config import ConfigMap
from reconciler.sync.notice import notice
from tests.unit.sync.world import desired, manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HAND = {"metadata": {"name": "m", "namespace": "web"}}


@pytest.mark.parametrize(
    ("mode", "live", "suspended", "wanted"),
    [
        (None, HAND, False, "what differs from the file is taken back; change the file instead"),
        (None, HAND, True, "what differs from the file is taken back when the source is resumed;"),
        (None, None, False, "it is made again; change the file instead"),
        (
            None,
            {"metadata": {**HAND["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            False,
            "it is made again",
        ),
        ("report", HAND, False, "the difference is reported, and stays as it is until"),
        ("ignore", None, False, "it stays as it is until the file changes"),
        (
            None,
            {
                "metadata": {
                    **HAND["metadata"],
                    "annotations": {"reconciler.dev/break-glass-until": "2026-01-01T01:00:00Z"},
                }
            },
            False,
            "it stays as it is until 2026-01-01T01:00:00Z",
        ),
    ],
)
def test_what_becomes_of_a_write(mode, live, suspended, wanted):
    annotations = {"reconciler.dev/drift": mode} if mode else {}
    (declared,) = desired(
        manifest("ConfigMap", "m", metadata={"annotations": annotations})
    ).values()
    obj = ConfigMap.model_validate(live) if live else None
    told = notice(declared, obj, NOW, suspended=suspended)
    assert told.startswith(f"Git declares this object in {declared.place}: {wanted}")
