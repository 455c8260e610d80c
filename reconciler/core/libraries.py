"""The memory in which libraries' files are mapped: what only the start used need not stay there.

Called by `lean.give_back`. Linux only; elsewhere it does nothing.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

_SMAPS = Path("/proc/self/smaps")
_MADV_DONTNEED = 4  # bits/mman-linux.h

# A private mapping of a file that cannot be written.
_READ_ONLY = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) r-[x-]p .* (/.*)\n")
_OTHER = re.compile(rb"[0-9a-f]+-[0-9a-f]+ ")
_UNTOUCHED = re.compile(rb"Anonymous: +0 kB\n")

Mapping = tuple[int, int, bytes]
"""First address, end, and the file."""


class Libraries:
    """The mapped libraries of this process."""

    def __init__(self) -> None:
        self._seen = frozenset(_mappings())

    def unmap_pages(self) -> None:
        """Let go of all pages that are the same in the library's file; what is used comes back.

        That happens without the process noticing: from the page cache, or from the file when the
        kernel wanted the room meanwhile. A mapping in which anything was ever written is left
        alone, as the loader does where it puts addresses right; and so is one that was not there
        the last time, because a thread may be loading it now.
        """
        mappings = frozenset(_mappings())
        madvise = ctypes.CDLL(None).madvise
        for begin, end, _ in mappings & self._seen:
            madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)
        self._seen = mappings


def _mappings() -> Iterator[Mapping]:
    """Yield the mappings of files that were never written to and cannot be."""
    if not _SMAPS.exists():
        return
    found: Mapping | None = None
    with _SMAPS.open("rb") as lines:
        for line in lines:
            if match := _READ_ONLY.match(line):
                found = int(match[1], 16), int(match[2], 16), match[3]
            elif _OTHER.match(line):
                found = None
            elif found and _UNTOUCHED.match(line):
                yield found
