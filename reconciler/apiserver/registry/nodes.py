"""Nodes: a node registers itself together with its status."""

from __future__ import annotations

from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.node import Node


class NodeStrategy(Strategy[Node]):
    """The rules of nodes."""

    def for_create(self, new: Node) -> Node:
        """Keep the status that the registering kubelet gives."""
        return new
