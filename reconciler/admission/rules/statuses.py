"""Rules of what may be written into a status."""

from __future__ import annotations

from reconciler.admission.errors import Errors, forbidden, invalid
from reconciler.admission.rules import names
from reconciler.admission.rules.probe import NOT_NEGATIVE
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service


def pod_status(obj: Pod) -> Errors:
    """The addresses of a pod are addresses."""
    for index, pod_ip in enumerate(obj.status.pod_ips):
        yield from names.each(f"status.podIPs[{index}]", pod_ip.ip, names.ip_address(pod_ip.ip))


def replication_status(obj: ReplicationController) -> Errors:
    """ValidateReplicationControllerStatus: no count is negative or more than all."""
    status = obj.status
    counts = (
        ("fullyLabeledReplicas", status.fully_labeled_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    )
    for field, count in (("replicas", status.replicas), *counts):
        if count < 0:
            yield invalid(f"status.{field}", count, NOT_NEGATIVE)
    for field, count in counts:
        if count > status.replicas:
            yield invalid(f"status.{field}", count, "cannot be greater than status.replicas")
    if status.available_replicas > status.ready_replicas:
        text = "cannot be greater than readyReplicas"
        yield invalid("status.availableReplicas", status.available_replicas, text)


def service_status(obj: Service) -> Errors:
    """Only a load balancer has ingress points."""
    if obj.status.load_balancer.ingress and obj.spec.type != "LoadBalancer":
        path = "status.loadBalancer.ingress"
        yield forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")
