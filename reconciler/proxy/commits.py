"""Which commits touched our table, heard from the kernel as they happen. `table.py` calls it.

Docker and firewalld on nftables commit whenever a container or a zone changes, and none of it
concerns us: what the kernel announces of a commit names each object's table, so that the whole
table need not be read to see that it is still as we left it. Who committed is not told apart here.
"""

from __future__ import annotations

import errno
import socket
import struct

from reconciler.proxy.netfilter import Listener, attributes

_GROUP = 7  # NFNLGRP_NFTABLES
_NEW_GENERATION = 10 << 8 | 15  # NFT_MSG_NEWGEN, the last message of a commit
_TABLE_NAME = 1  # of every object but the generation, whose number has the same place
_NUMBERS = 1 << 32
_HELD_BYTES = 1 << 20


class Commits:
    """Hears of the commits in the network namespace of the opening thread.

    Raises `PermissionError` without CAP_NET_ADMIN.
    """

    def __init__(self, table: str) -> None:
        self._listener = Listener(_GROUP, _HELD_BYTES)
        self._table = table.encode() + b"\0"
        self._is_ours = False
        self._touching: set[int] = set()
        self._last = -1
        self._is_sure = True

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def listen(self) -> None:
        """Take in what the kernel has said since the last call; it does not wait for more."""
        while True:
            try:
                self._take_in()
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._is_sure = False  # more was said than is held for us; what is held goes on
            else:
                return

    def _take_in(self) -> None:
        for kind, family, body in self._listener.messages():
            found = dict(attributes(body)).get(_TABLE_NAME, b"")
            if kind == _NEW_GENERATION:
                self._end(struct.unpack("!I", found)[0])
            elif family == socket.AF_INET and found == self._table:
                self._is_ours = True

    def touching(self, since: int, until: int) -> frozenset[int] | None:
        """Return the numbers of the commits after `since` that touched the table.

        None when not everything up to the commit `until` was heard.
        """
        if not self._is_sure or self._last != until:
            return None
        return frozenset(
            each for each in self._touching if 0 < (each - since) % _NUMBERS < _NUMBERS // 2
        )

    def settle(self) -> None:
        """Forget what was heard so far, or not: the table is known to be right after it."""
        self._touching.clear()
        self._is_sure = True

    def _end(self, number: int) -> None:
        if self._is_ours:
            self._touching.add(number)
        self._is_ours = False
        self._last = number
