"""Nodes that stop telling of themselves: their conditions, taints and pods."""
