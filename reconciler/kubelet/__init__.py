"""Pods to containers on this host's Docker Engine."""
