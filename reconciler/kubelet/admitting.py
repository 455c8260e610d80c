"""The kubelet's admission: asked by `worker.py` before anything is made for a pod."""

from __future__ import annotations

from reconciler.client.informer import Informer
from reconciler.kubelet.fitting import misfit, was_bound
from reconciler.kubelet.podadmit import HostRules, Rejection, rejection
from reconciler.model.node import Node
from reconciler.model.pod import Pod


class Admission:
    """Judges the pods of one node; `rules` are what this host can do for them."""

    def __init__(self, pods: Informer[Pod], nodes: Informer[Node] | None, node_name: str) -> None:
        self.rules = HostRules()
        self._pods, self._nodes, self._node_name = pods, nodes, node_name

    def rejection(self, pod: Pod) -> Rejection | None:
        """Return why the pod cannot run here; None when it can."""
        return rejection(pod, self.rules) or self._misfit(pod)

    def _misfit(self, pod: Pod) -> Rejection | None:
        node = self._nodes.get(self._node_name) if self._nodes is not None else None
        if node is None or was_bound(pod):
            return None
        here = (each for each in self._pods.items() if each.spec.node_name == self._node_name)
        return misfit(pod, node, here)
