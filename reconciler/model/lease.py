"""Leases of coordination.k8s.io/v1: who leads, and until when."""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import Model, always
from reconciler.model.meta import KubeObject
from reconciler.model.scalar import Int32, MicroTime

GROUP = "coordination.k8s.io"

NODE_LEASES = "kube-node-lease"
"""The namespace of the nodes' Leases; each has its node's name."""


class LeaseSpec(Model):
    holder_identity: str | None = None
    lease_duration_seconds: Int32 | None = None
    acquire_time: MicroTime | None = None
    renew_time: MicroTime | None = None
    lease_transitions: Int32 | None = None
    strategy: str | None = None
    preferred_holder: str | None = None


class Lease(KubeObject):
    api_version: Literal["coordination.k8s.io/v1"] = always(lambda: "coordination.k8s.io/v1")
    kind: Literal["Lease"] = always(lambda: "Lease")
    spec: LeaseSpec = always(LeaseSpec)
