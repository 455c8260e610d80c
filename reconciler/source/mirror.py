"""The mirror of a remote repository as files: what a killed fetch leaves, and what damages it.

Called by `git.py` and `branch.py`. A mirror holds nothing that the remote has not: a damaged one is
thrown away and fetched again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from reconciler.source.snapshot import SourceError

FETCHED = "refs/reconciler/fetched"
"""The ref of the mirror that holds what was fetched last."""

_DEAD_LOCKS = ("shallow.lock", f"{FETCHED}.lock", "packed-refs.lock", "config.lock", "HEAD.lock")
_REMAINS = ("objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/[0-9a-f][0-9a-f]/tmp_obj_*",
            "objects/tmp_*")  # fmt: skip
_DAMAGE = re.compile(
    r"corrupt|bad object|object file .* is empty|missing (?:blob|tree|commit|object)|inflate|"
    r"unable to (?:read|unpack|parse)|not a git repository:|bad pack|shallow file|"
    r"did not send all necessary objects|unresolved deltas|garbage at end|"
    r"cannot lock ref|reference broken",
    re.IGNORECASE,
)
_SURELY = frozenset(("Unreadable", "MirrorFailed"))


def mirror_name(source: str, location: str) -> str:
    """Return the folder of a source's mirror: its own, for another may follow another branch."""
    digest = hashlib.sha256(location.encode()).hexdigest()[:16]
    return f"{source}-{digest}" if source else digest


def clear_remains(git_dir: Path) -> None:
    """Remove what a fetch that was killed left behind; nobody else fetches now."""
    for lock in _DEAD_LOCKS:
        (git_dir / lock).unlink(missing_ok=True)
    for pattern in _REMAINS:
        for left in git_dir.glob(pattern):
            with suppress(OSError):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def is_damage(error: SourceError, whole: Callable[[], bool]) -> bool:
    """Return whether the mirror is at fault for an error of it.

    Where the remote may be as well, `whole` says whether all objects of the mirror are there.
    """
    if error.reason in _SURELY:
        return True
    return bool(_DAMAGE.search(error.message)) and not whole()


def discard(git_dir: Path) -> None:
    """Throw the mirror away."""
    shutil.rmtree(git_dir, ignore_errors=True)
