"""JSON merge patch (RFC 7386). Pure; called by `patching.py`."""

from __future__ import annotations

from typing import Any


def merge(value: Any, patch: Any) -> Any:
    """Return `value` with `patch` merged in: null removes, a list replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, member in patch.items():
        if member is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), member)
    return result
