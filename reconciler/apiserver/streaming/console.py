"""The caller's end of a command: where its input comes from and its output goes.

`wscommand.py` and `spdycommand.py` are the two ways in which callers bring one; `commands.py` joins
it with a node's `Terminal`.
"""

from __future__ import annotations

from typing import Any, Protocol

from reconciler.model.streaming import Output, Size


class Console(Protocol):
    """One caller. Writing raises `ConnectionError` when the caller is gone."""

    async def read(self) -> bytes:
        """Return the next input, none at its end."""
        ...

    async def resized(self) -> Size | None:
        """Return the next size of the caller's terminal, None when there will be none."""
        ...

    async def write(self, output: Output, data: bytes) -> None:
        """Show output."""
        ...

    async def finish(self, status: dict[str, Any]) -> None:
        """Tell how it ended, and that all output has been sent."""
        ...
