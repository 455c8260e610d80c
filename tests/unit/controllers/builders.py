"""Small objects for the tests of controllers and scheduler, named by what matters in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.controllers.owner import owner_reference
from reconciler.controllers.replication.policy import SOURCE
from reconciler.controllers.replication.template import TEMPLATE_HASH
from reconciler.model.container import Container, ContainerPort, ResourceRequirements
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod, PodSpec, PodTemplateSpec
from reconciler.model.podstatus import ContainerStatus, PodCondition, PodIP, PodStatus
from reconciler.model.replication import (
    ReplicationController,
    ReplicationControllerSpec,
    ReplicationControllerStatus,
)
from reconciler.model.time import format_time


def make_rc(
    name: str = "web",
    replicas: int | None = 3,
    *,
    image: str = "web:1",
    annotations: Mapping[str, str] | None = None,
    rolled: bool = False,
    generation: int = 1,
    status: ReplicationControllerStatus | None = None,
) -> ReplicationController:
    notes = dict(annotations or {})
    if rolled:
        notes[SOURCE] = f"main/ReplicationController/default/{name}"
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels={"app": name}),
        spec=PodSpec(containers=(Container(name="c", image=image),)),
    )
    return ReplicationController(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            generation=generation,
            annotations=notes,
        ),
        spec=ReplicationControllerSpec(
            replicas=replicas, selector={"app": name}, template=template
        ),
        status=status or ReplicationControllerStatus(),
    )


def make_pod(  # noqa: PLR0913 - a test names only what it is about
    name: str,
    *,
    rc: ReplicationController | None = None,
    labels: Mapping[str, str] | None = None,
    digest: str = "",
    ready: datetime | None = None,
    phase: str = "Running",
    node: str = "n1",
    ip: str = "",
    created: datetime | None = None,
    deleting: datetime | None = None,
    restarts: int = 0,
    annotations: Mapping[str, str] | None = None,
    ports: tuple[ContainerPort, ...] = (),
    requests: Mapping[str, str] | None = None,
) -> Pod:
    """A pod; `ready` is since when it is ready, `rc` its controller."""
    notes = dict(annotations or {})
    if digest:
        notes[TEMPLATE_HASH] = digest
    if labels is None:
        labels = {"app": rc.metadata.name} if rc is not None else {"app": "web"}
    conditions = (
        PodCondition(
            type="Ready",
            status="True" if ready is not None else "False",
            last_transition_time=format_time(ready) if ready is not None else None,
        ),
    )
    resources = ResourceRequirements(requests=dict(requests or {}))
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels=dict(labels),
            annotations=notes,
            creation_timestamp=format_time(created) if created is not None else None,
            deletion_timestamp=format_time(deleting) if deleting is not None else None,
            owner_references=(owner_reference(rc),) if rc is not None else (),
        ),
        spec=PodSpec(
            containers=(Container(name="c", image="i", ports=ports, resources=resources),),
            node_name=node,
        ),
        status=PodStatus(
            phase=phase,
            conditions=conditions,
            pod_ip=ip,
            pod_ips=(PodIP(ip=ip),) if ip else (),
            container_statuses=(ContainerStatus(name="c", restart_count=restarts),)
            if restarts
            else (),
        ),
    )
