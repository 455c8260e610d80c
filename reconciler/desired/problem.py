"""One thing that is wrong with a manifest, told so that it can be mended. A value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A refusal with its place: file, line and column (from 1), and the field's path.

    `object` names the object if it is known; `hint` is the likely fix, or empty. No text holds
    a value of a Secret (law 9).
    """

    path: str
    line: int
    column: int
    field: str
    message: str
    hint: str = ""
    object: str = ""

    @property
    def place(self) -> str:
        """Where, in the form that editors and terminals make a link of."""
        return f"{self.path}:{self.line}:{self.column}"

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.place}: {field}{self.message}{hint}"
