"""What the kernel has of nftables, asked over netlink without a word about elements.

`table.py` calls it, and the firewall's loop for the count of commits. Each commit, by whomever,
raises it by one: one question costs some 20 microseconds, so a foreign change is noticed without
listing anything. Chains and rules are read as the kernel sends them, in a millisecond however many
services there are; libnftables reads every element along with them, which takes 200 ms for 5,000
services.
"""

from __future__ import annotations

import errno
import hashlib
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager

from reconciler.proxy.netfilter import DUMP, Netfilter, attribute, attributes
from reconciler.proxy.nft import RIGHTS, NftUnavailable

_NFTABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_TABLE, _GET_CHAIN, _GET_RULE, _GET_GENERATION = (_NFTABLES | kind for kind in (1, 4, 7, 16))
_GET_ELEMENTS = _NFTABLES | 13
_NAME, _USERDATA = 1, 6  # of a table
_TABLE, _CHAIN, _HOOK, _POLICY = 1, 3, 4, 5  # of a chain; a rule's table has the same number
_SET, _ELEMENTS = 2, 3  # of a list of elements; its table has the number of a chain's
_KEY, _DATA = 1, 2  # of an element
_COMMENT = 0  # in a table's user data, which libnftables writes as type, length, value
_HEADER_BYTES = 4
_NO_ANSWER_SECONDS = 2.0
_DUMP_TRIES = 5


class Readback:
    """A netlink socket in the network namespace of the opening thread. Every call blocks.

    Methods raise `OSError` when the kernel does not answer, or refuses, and `NftUnavailable` when
    it refuses for want of rights. `table` is the name of a table of the family ip.
    """

    def __init__(self) -> None:
        self._netfilter = Netfilter(_NO_ANSWER_SECONDS)

    def close(self) -> None:
        """Close the socket."""
        self._netfilter.close()

    def generation(self) -> int:
        """Return the kernel's count of commits."""
        with _rights():
            for body in self._netfilter.ask(_GET_GENERATION):
                found: int = struct.unpack_from("!I", dict(attributes(body))[1])[0]
                return found
        raise OSError(errno.ENODATA, "the kernel's answer has no nftables generation")

    def comment(self, table: str) -> str:
        """Return a table's comment; empty when it has none, or is not there."""
        for body in self._dump(_GET_TABLE):
            found = dict(attributes(body))
            if _text(found.get(_NAME)) == table:
                return _comment(found.get(_USERDATA, b""))
        return ""

    def chains(self, table: str) -> tuple[str, ...]:
        """Return the names of a table's chains."""
        return tuple(_text(chain.get(_CHAIN)) for chain in self._chains(table))

    def fingerprint(self, table: str) -> bytes:
        """Return what changes whenever a chain or a rule of the table does."""
        digest = hashlib.blake2b()
        for chain in self._chains(table):
            for kind in (_CHAIN, _HOOK, _POLICY):
                value = chain.get(kind, b"")
                digest.update(struct.pack("=I", len(value)) + value)
        for rule in self._dump(_GET_RULE, attribute(_TABLE, table.encode() + b"\0")):
            digest.update(struct.pack("=I", len(rule)) + rule)
        return digest.digest()

    def elements(self, table: str, name: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of each element of a map, in the kernel's encoding.

        Of one that changes meanwhile some may be missing.
        """
        which = ((_TABLE, table), (_SET, name))
        asked = b"".join(attribute(kind, text.encode() + b"\0") for kind, text in which)
        for body in self._netfilter.ask(_GET_ELEMENTS, DUMP, asked):
            for _, element in attributes(dict(attributes(body)).get(_ELEMENTS, b"")):
                parts = dict(attributes(element))
                # each holds one attribute, the bytes
                yield parts[_KEY][_HEADER_BYTES:], parts[_DATA][_HEADER_BYTES:]

    def _chains(self, table: str) -> Iterator[dict[int, bytes]]:
        found = (dict(attributes(body)) for body in self._dump(_GET_CHAIN))
        return (chain for chain in found if _text(chain.get(_TABLE)) == table)

    def _dump(self, kind: int, body: bytes = b"") -> list[bytes]:
        """Return the attributes of each object; asked again when a commit came between."""
        for _ in range(_DUMP_TRIES):
            try:
                with _rights():
                    return list(self._netfilter.ask(kind, DUMP, body, whole=True))
            except InterruptedError:
                continue
        raise OSError(errno.EBUSY, "nftables changes faster than it can be read")


def commits() -> int:
    """Return the kernel's count of commits, asked once over a socket of its own. Blocks."""
    with closing(Readback()) as kernel:
        return kernel.generation()


@contextmanager
def _rights() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        message = f"the kernel does not let nftables be read: {RIGHTS}"
        raise NftUnavailable(message) from error


def _text(value: bytes | None) -> str:
    return (value or b"").rstrip(b"\0").decode(errors="replace")


def _comment(userdata: bytes) -> str:
    at = 0
    while at + 2 <= len(userdata):
        kind, size = userdata[at], userdata[at + 1]
        if kind == _COMMENT:
            return _text(userdata[at + 2 : at + 2 + size])
        at += 2 + size
    return ""
