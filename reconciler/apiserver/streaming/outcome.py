"""How a command ended, as the error channel tells it: k8s.io/apimachinery remotecommand v4."""

from __future__ import annotations

import json
from typing import Any

from reconciler.model.streaming import Size

Json = dict[str, Any]


def of_exit(code: int) -> Json:
    """Return Success, or the failure with the exit code that kubectl exits with."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def of_failure(message: str) -> Json:
    """Return the failure of the node to run it at all."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


def as_text(status: Json) -> str:
    """Return what protocols before v4 write: the message alone, nothing for success."""
    return str(status.get("message", ""))


def read_size(data: bytes) -> Size | None:
    """Read a resize message {"Width": .., "Height": ..}; None for anything else."""
    try:
        value = json.loads(data)
        width, height = int(value["Width"]), int(value["Height"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    largest = 0xFFFF
    return Size(width, height) if 0 < width <= largest and 0 < height <= largest else None
