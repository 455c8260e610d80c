"""Cluster DNS: names of services and their pods answered here, others forwarded."""
