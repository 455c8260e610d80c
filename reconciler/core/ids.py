"""Random identifiers, injected so that a seed gives the same history each time."""

from __future__ import annotations

import uuid
from random import Random, SystemRandom

# Kubernetes' k8s.io/apimachinery/pkg/util/rand alphabet: no vowels, no look-alikes.
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Ids:
    """A source of uids and name suffixes.

    `random` defaults to the operating system's; tests pass a seeded `Random`.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or SystemRandom()

    def uid(self) -> str:
        """Return a random version 4 UUID in its 36-character form."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def below(self, bound: int) -> int:
        """Return a random number from 0 up to, but without, `bound`."""
        return self._random.randrange(bound)

    def suffix(self, length: int = 5) -> str:
        """Return the random tail that Kubernetes appends to a `generateName`."""
        return "".join(self._random.choice(_SUFFIX_ALPHABET) for _ in range(length))
