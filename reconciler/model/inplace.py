"""Pods that take over a new template as they are: what may change, and the annotations for it.

Kubernetes lets a pod's images, labels and annotations change while it lives. A controller that asks
for it has them changed in its pods, whose containers restart in the same sandbox, instead of having
new pods made. Read by the replication controller, by sync and by `reconciler plan`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod, PodTemplateSpec

UPDATE = "reconciler.dev/update"
"""On a ReplicationController: "in-place" asks for it."""

SHAPE = "reconciler.dev/template-shape"
"""On a pod: what of its template may not change in place."""

UPDATED = "reconciler.dev/updated-at"
"""On a pod: when it took over its present template."""

_LENGTH = 16


def asks_in_place(controller: KubeObject) -> bool:
    """Return whether the controller's pods shall be updated in place where that is possible."""
    return controller.metadata.annotations.get(UPDATE) == "in-place"


def outdated_containers(pod: Pod) -> tuple[str, ...]:
    """Return the containers that still run another image than the pod asks for by now.

    Until the kubelet has restarted them, what else their pod's status says is of the former image.
    """
    wanted = {each.name: each.image for each in pod.spec.containers}
    return tuple(
        each.name
        for each in pod.status.container_statuses
        if each.state.running is not None and each.image != wanted.get(each.name, each.image)
    )


def shape_of(template: PodTemplateSpec) -> str:
    """Return 16 hexadecimal digits that name all of a template that needs a new pod to change.

    That is its finalizers and its spec without the images of its containers proper; an init
    container does not run again for another image.
    """
    spec: dict[str, Any] = template.spec.to_dict()
    spec["containers"] = [
        {name: value for name, value in each.items() if name != "image"}
        for each in spec["containers"]
    ]
    content = {"finalizers": template.metadata.finalizers, "spec": spec}
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:_LENGTH]
