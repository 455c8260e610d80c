"""Imports that a small process does without. The command line calls it before the daemon starts.

structlog loads rich, and rich loads Pygments and attrs, for tracebacks in a terminal: 5 MB of a
daemon that writes JSON lines. structlog itself works without rich.
"""

from __future__ import annotations

import importlib
import sys


def import_without(module: str, unwanted: str) -> None:
    """Import `module` as on a machine where `unwanted` is not installed.

    Later imports of `unwanted` work as usual; does nothing when one of them is imported already.
    """
    if module in sys.modules or unwanted in sys.modules:
        return
    # Python's own mark of a module that is not there.
    sys.modules[unwanted] = None  # type: ignore[assignment]
    try:
        importlib.import_module(module)
    finally:
        del sys.modules[unwanted]
