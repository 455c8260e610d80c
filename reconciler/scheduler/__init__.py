"""Binds each pod to a node: filters, scores, and the reasons."""
