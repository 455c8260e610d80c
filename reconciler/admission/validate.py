"""The two questions of validation in one place: may this be created, may this replace that.

Called by `admit`, by the registry and by sync. The rules are in `create` and `update`.
"""

from __future__ import annotations

from reconciler.admission.create import validate
from reconciler.admission.update import validate_update

__all__ = ["validate", "validate_update"]
