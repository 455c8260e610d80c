"""Rules of Leases."""

from __future__ import annotations

from reconciler.admission.errors import Errors, invalid
from reconciler.admission.rules.meta import validate_meta
from reconciler.model.lease import Lease


def lease(obj: Lease) -> Errors:
    """ValidateLease."""
    yield from validate_meta(obj)
    seconds, changes = obj.spec.lease_duration_seconds, obj.spec.lease_transitions
    if seconds is not None and seconds <= 0:
        yield invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if changes is not None and changes < 0:
        yield invalid("spec.leaseTransitions", changes, "must be greater than or equal to 0")
