"""Fills ClusterRoles that have an aggregation rule."""
