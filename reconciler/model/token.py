"""What is asked of a token of a ServiceAccount, and the token: Kubernetes' TokenRequest."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime

SECONDS_DEFAULT = 3600
SECONDS_MIN = 600
SECONDS_MAX = 1 << 32
_KEPT_PART = 0.8


@dataclass(frozen=True, slots=True)
class BoundObject:
    """The object without which a token is worth nothing; an empty `uid` stands for the present."""

    kind: str
    name: str
    uid: str = ""
    api_version: str = "v1"


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """For whom a token is (`audiences`, empty: this API), how long (`seconds`), and while what."""

    audiences: tuple[str, ...] = ()
    seconds: int = SECONDS_DEFAULT
    bound: BoundObject | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token. It has no place in a log: its text is not shown."""

    text: str = field(repr=False)
    expires: datetime
    audiences: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a token is valid, in seconds of the epoch."""

    issued: float
    expires: float

    def is_fresh(self, now: float) -> bool:
        """Say whether a token may stay where it is: until four fifths of its time are over."""
        return self.issued <= now < self.issued + (self.expires - self.issued) * _KEPT_PART


def validity(token: str) -> Validity | None:
    """Return what a token says of its time, unproved; None when it says nothing."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return Validity(float(claims["iat"]), float(claims["exp"]))
    except (IndexError, KeyError, TypeError, ValueError):
        return None
