"""The administrator's token: a secret in a file, made at first start.

Called by the server, and by `reconciler kubeconfig`, which hands it to root.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from reconciler.core import privatefile

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
    privatefile.write(file, f"{token}\n".encode())
    return token
