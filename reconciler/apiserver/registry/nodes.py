"""Nodes: a node registers itself together with its status."""

from __future__ import annotations

from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.node import NOT_READY, Node, Taint

_AT_BIRTH = Taint(key=NOT_READY, effect="NoSchedule")


class NodeStrategy(Strategy[Node]):
    """The rules of nodes."""

    def for_create(self, new: Node) -> Node:
        """Keep the status that the registering kubelet gives; taint a node that is not ready.

        Kubernetes' TaintNodesByCondition taints every new node until it is ready. One that says
        at its birth that it is would only lose time by that.
        """
        ready = any(
            each.type == "Ready" and each.status == "True" for each in new.status.conditions
        )
        taints = new.spec.taints
        if ready or any((t.key, t.effect) == (_AT_BIRTH.key, _AT_BIRTH.effect) for t in taints):
            return new
        return new.replace(spec=new.spec.replace(taints=(*taints, _AT_BIRTH)))
