"""The administrator's token: a secret in a file, made at first start.

Called by the server, and by `reconciler kubeconfig`, which hands it to root.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_BYTES = 32


def admin_token(file: Path) -> str:
    """Return the token in `file`, which is made, for root alone, when there is none."""
    try:
        token = file.read_text().strip()
    except FileNotFoundError:
        token = ""
    return token or _fresh(file)


def _fresh(file: Path) -> str:
    token = secrets.token_urlsafe(_BYTES)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as written:
        written.write(token + "\n")
    fresh.replace(file)
    return token
