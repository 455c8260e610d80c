"""What the kernel has of nftables, asked over netlink without a word about elements.

`table.py` calls it. Each commit, by whomever, raises the kernel's count of them by one: one
question costs some 20 microseconds, so a foreign change is noticed without listing anything. Chains
and rules are read as the kernel sends them, in a millisecond however many services there are;
libnftables reads every element along with them, which takes 200 ms for 5,000 services.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import struct
from collections.abc import Iterator

from reconciler.proxy.nft import RIGHTS, NftUnavailable

_NETLINK_NETFILTER = 12
_NFTABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_TABLE, _GET_CHAIN, _GET_RULE, _GET_GENERATION = (_NFTABLES | kind for kind in (1, 4, 7, 16))
_REQUEST, _DUMP = 0x1, 0x300
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_FAMILY_HEADER = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
_NAME, _USERDATA = 1, 6  # of a table
_TABLE, _CHAIN, _HOOK, _POLICY = 1, 3, 4, 5  # of a chain; a rule's table has the same number
_COMMENT = 0  # in a table's user data, which libnftables writes as type, length, value
_IPV4 = socket.AF_INET
_BUFFER_BYTES = 1 << 16
_NO_ANSWER_SECONDS = 2.0
_DUMP_TRIES = 5


class Readback:
    """A netlink socket in the network namespace of the opening thread. Every call blocks.

    Methods raise `OSError` when the kernel does not answer, or refuses, and `NftUnavailable` when
    it refuses for want of rights. `table` is the name of a table of the family ip.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.settimeout(_NO_ANSWER_SECONDS)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def generation(self) -> int:
        """Return the kernel's count of commits."""
        for body in self._ask(_GET_GENERATION, _REQUEST):
            found: int = struct.unpack_from("!I", _attributes(body)[1])[0]
            return found
        raise OSError(errno.ENODATA, "the kernel's answer has no nftables generation")

    def comment(self, table: str) -> str:
        """Return a table's comment; empty when it has none, or is not there."""
        for body in self._dump(_GET_TABLE):
            found = _attributes(body)
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
        for rule in self._dump(_GET_RULE, _attribute(_TABLE, table.encode() + b"\0")):
            digest.update(struct.pack("=I", len(rule)) + rule)
        return digest.digest()

    def _chains(self, table: str) -> Iterator[dict[int, bytes]]:
        found = map(_attributes, self._dump(_GET_CHAIN))
        return (chain for chain in found if _text(chain.get(_TABLE)) == table)

    def _dump(self, kind: int, body: bytes = b"") -> list[bytes]:
        """Return the attributes of each object; asked again when a commit came between."""
        for _ in range(_DUMP_TRIES):
            try:
                return self._ask(kind, _REQUEST | _DUMP, body)
            except InterruptedError:
                continue
        raise OSError(errno.EBUSY, "nftables changes faster than it can be read")

    def _ask(self, kind: int, flags: int, body: bytes = b"") -> list[bytes]:
        self._sequence += 1
        length = _HEADER.size + _FAMILY_HEADER.size + len(body)
        header = _HEADER.pack(length, kind, flags, self._sequence, 0)
        self._socket.send(header + _FAMILY_HEADER.pack(_IPV4, 0, 0) + body)
        answers: list[bytes] = []
        interrupted = False
        while True:
            for answer, told, sequence, content in _messages(self._socket.recv(_BUFFER_BYTES)):
                if sequence != self._sequence:
                    continue  # the rest of a call that gave up
                interrupted = interrupted or bool(told & _INTERRUPTED)
                if answer == _ERROR:
                    raise _refusal(-struct.unpack_from("=i", content)[0])
                if answer != _DONE:
                    answers.append(content[_FAMILY_HEADER.size :])
                if answer == _DONE or not flags & _DUMP:
                    if interrupted:
                        raise InterruptedError
                    return answers


def _refusal(code: int) -> Exception:
    if code == errno.EPERM:
        return NftUnavailable(f"the kernel does not let nftables be read: {RIGHTS}")
    return OSError(code, os.strerror(code))


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the kind, the flags, the sequence number and the content of each message."""
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        yield kind, flags, sequence, data[at + _HEADER.size : at + size]
        at += max((size + 3) & ~3, _HEADER.size)


def _attributes(body: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        found[kind & ~_NESTED] = body[at + _ATTRIBUTE.size : at + size]
        at += max((size + 3) & ~3, _ATTRIBUTE.size)
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + padding


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
