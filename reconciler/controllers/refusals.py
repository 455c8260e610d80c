"""How controllers read the API's refusals. Pure."""

from __future__ import annotations

from reconciler.client.protocol import ApiError


def namespace_ends(error: ApiError) -> bool:
    """Say whether a write was refused because its namespace is being deleted.

    That is no fault: the namespace controller removes whatever the write was for.
    """
    causes = error.details.get("causes", ())
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
