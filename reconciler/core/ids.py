"""Random identifiers, injected so that a seed gives the same history each time."""

from __future__ import annotations

from os import urandom
from random import Random, SystemRandom

# Kubernetes' k8s.io/apimachinery/pkg/util/rand alphabet: no vowels, no look-alikes.
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

# RFC 4122: the bits that say "version 4, variant 1", and their values.
_UUID_FIXED = 0xF << 76 | 0x3 << 62
_UUID_VERSION_4 = 0x4 << 76 | 0x2 << 62


_DRAWN = 4096


class _Drawn(SystemRandom):
    """The operating system's random bytes, drawn many at once: a system call each costs 20 µs."""

    def __init__(self) -> None:
        super().__init__()
        self._left = b""

    def randbytes(self, n: int) -> bytes:
        """Return `n` bytes that were never returned before."""
        if len(self._left) < n:
            self._left = urandom(max(n, _DRAWN))
        taken, self._left = self._left[:n], self._left[n:]
        return taken

    def getrandbits(self, k: int) -> int:
        """Return a number of at most `k` random bits."""
        size = (k + 7) // 8
        return int.from_bytes(self.randbytes(size), "big") >> (size * 8 - k)


class Ids:
    """A source of uids and name suffixes.

    `random` defaults to the operating system's; tests pass a seeded `Random`.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or _Drawn()

    def uid(self) -> str:
        """Return a random version 4 UUID in its 36-character form."""
        bits = self._random.getrandbits(128) & ~_UUID_FIXED | _UUID_VERSION_4
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def below(self, bound: int) -> int:
        """Return a random number from 0 up to, but without, `bound`."""
        return self._random.randrange(bound)

    def suffix(self, length: int = 5) -> str:
        """Return the random tail that Kubernetes appends to a `generateName`."""
        size = len(_SUFFIX_ALPHABET)
        number = self._random.randrange(size**length)
        return "".join([_SUFFIX_ALPHABET[number // size**place % size] for place in range(length)])
