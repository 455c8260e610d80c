"""Pods and observations for the planner's tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.kubelet.labels import PodContainer, PodKey, container_labels, sandbox_labels
from reconciler.kubelet.roster import spec_hash
from reconciler.kubelet.runtime import Container, Phase
from reconciler.model.pod import Pod
from reconciler.model.time import format_time

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = PodKey("default", "web", "uid-1")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def pod(
    *names: str, deleted: datetime | None = None, grace: int = 30, phase: str = "", **spec: Any
) -> Pod:
    metadata: dict[str, Any] = {"name": "web", "namespace": "default", "uid": "uid-1"}
    if deleted is not None:
        metadata["deletionTimestamp"] = format_time(deleted)
        metadata["deletionGracePeriodSeconds"] = grace
    containers = [{"name": name, "image": "app:1"} for name in names or ("app",)]
    manifest = {
        "metadata": metadata,
        "spec": {"containers": containers, "restartPolicy": "Always", "nodeName": "n", **spec},
        "status": {"phase": phase},
    }
    return Pod.model_validate_json(json.dumps(manifest))


def sandbox(
    attempt: int = 0, *, phase: Phase = "running", address: str = "10.244.0.2"
) -> PodContainer:
    return PodContainer(
        Container(
            id=f"box-{attempt}",
            name=f"k8s_POD_web_default_uid-1_{attempt}",
            phase=phase,
            labels=sandbox_labels(KEY, attempt, address),
            image="pause",
            image_id="",
            created=NOW - seconds(100),
            started=NOW - seconds(100),
            finished=NOW if phase == "exited" else None,
        )
    )


def container(  # noqa: PLR0913 - each is one fact of a container
    name: str = "app",
    attempt: int = 0,
    *,
    phase: Phase = "running",
    box: int = 0,
    backoff: float = 0,
    exit_code: int = 0,
    ended: datetime = NOW,
    ran: float = 50,
    image: str = "app:1",
    started: bool = True,
) -> PodContainer:
    spec = pod(name).spec.containers[0].replace(image=image)
    begun = ended - seconds(ran)
    return PodContainer(
        Container(
            id=f"{name}-{attempt}",
            name=f"k8s_{name}_web_default_uid-1_{attempt}",
            phase=phase,
            labels=container_labels(
                KEY,
                name,
                attempt,
                sandbox=f"box-{box}",
                spec_hash=spec_hash(spec),
                backoff=backoff,
            ),
            image=image,
            image_id="sha256:1",
            created=begun,
            started=begun if started else None,
            finished=ended if phase == "exited" else None,
            exit_code=exit_code,
        )
    )
