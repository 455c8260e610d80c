"""Kubernetes v1 manifests on plain Docker hosts, straight from Git, with no cluster to run."""
