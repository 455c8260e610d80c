"""Pods of an old and a new template, as the plans see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.model.pod import Pod
from tests.unit.controllers.builders import make_pod

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = "0ld", "new"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def ready(name: str, digest: str = "", seconds: float = 100) -> Pod:
    return make_pod(name, digest=digest, ready=ago(seconds), created=ago(seconds + 5))


def unready(name: str, digest: str = "", seconds: float = 100) -> Pod:
    return make_pod(name, digest=digest, created=ago(seconds))
