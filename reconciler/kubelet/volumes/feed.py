"""Which pods are to be looked at again when an object that they are made of changes.

Built by the kubelet on its informers; writes nothing. A volume's content is then updated, and a
start that failed for want of the object is tried at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.kubelet.env import references as environment_references
from reconciler.kubelet.volumes.volumes import Volumes
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod

_MADE_OF = "made-of"


class VolumeFeed:
    """Calls `again(pod)` for each pod of `node` that something happened to.

    `objects` are the informers of the kinds that volumes may be made of.
    """

    def __init__(
        self,
        volumes: Volumes,
        pods: Informer[Pod],
        objects: Mapping[type[KubeObject], Informer[Any]],
        node: str,
        again: Callable[[Pod], None],
    ) -> None:
        self._volumes, self._pods, self._objects = volumes, pods, objects
        self._node, self._again = node, again
        pods.add_index(_MADE_OF, self._made_of)

    def start(self) -> None:
        """Follow every change from now on."""
        self._pods.subscribe(self._pod_changed)
        for kind, informer in self._objects.items():
            informer.subscribe(partial(self._changed, kind))

    def _made_of(self, pod: Pod) -> Iterable[str]:
        if pod.spec.node_name != self._node:
            return ()
        found = {(each.kind, each.name) for each in self._volumes.references(pod)}
        for container in (*pod.spec.init_containers, *pod.spec.containers):
            found |= {(each.kind, each.name) for each in environment_references(container)}
        namespace = pod.metadata.namespace
        return [_name(kind, namespace, name) for kind, name in found]

    def _changed(
        self,
        kind: type[KubeObject],
        event: EventType,
        old: KubeObject | None,
        new: KubeObject | None,
    ) -> None:
        del event
        changed = new or old
        if changed is None:
            return
        name = _name(kind, changed.metadata.namespace, changed.metadata.name)
        for pod in self._pods.by_index(_MADE_OF, name):
            self._volumes.changed(pod.metadata.uid)
            self._again(pod)

    def _pod_changed(self, _event: EventType, old: Pod | None, new: Pod | None) -> None:
        """The downward API shows a pod its own labels and annotations."""
        if old is None or new is None or new.spec.node_name != self._node:
            return
        before, after = old.metadata, new.metadata
        if (before.labels, before.annotations) != (after.labels, after.annotations):
            self._volumes.changed(after.uid)


def _name(kind: type[KubeObject], namespace: str, name: str) -> str:
    return f"{kind.__name__}/{namespace}/{name}"
