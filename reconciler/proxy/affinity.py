"""Which clients are kept on a backend that left, among all that the kernel remembers. Pure.

`table.py` calls it with the elements of the map `affinity` as the kernel has them: there may be a
hundred thousand, most of them of services that did not change, so that only what is stale is put
into nftables' notation. The parts of a key and of a value begin at multiples of four bytes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from reconciler.proxy.rules import PROTOCOL_NAMES, PROTOCOL_NUMBERS
from reconciler.proxy.ruleset import Pools

_DESTINATION, _PROTOCOL, _PORT = 4, 8, 12  # where the parts of a key begin after the client


def stale_clients(remembered: Iterable[tuple[bytes, bytes]], pools: Pools) -> list[str]:
    """Return the keys, in nftables' notation, of clients whose backend their frontend has no more.

    `pools` has the backends that each frontend has now; clients of other frontends are left alone.
    """
    encoded = {_frontend(key): frozenset(map(_backend, pool)) for key, pool in pools.items()}
    stale = []
    for key, backend in remembered:
        pool = encoded.get(key[_DESTINATION:])
        if pool is None:
            pool = encoded.get(key[_PROTOCOL:])
        if pool is not None and backend not in pool:
            stale.append(_text(key))
    return stale


def _frontend(key: str) -> bytes:
    """Encode the key of a frontend: its address, unless it is a node port, protocol and port."""
    *address, protocol, port = key.split(" . ")
    parts = (
        *map(socket.inet_aton, address),
        bytes((PROTOCOL_NUMBERS[protocol], 0, 0, 0)),
        _padded(port),
    )
    return b"".join(parts)


def _backend(text: str) -> bytes:
    address, port = text.split(" . ")
    return socket.inet_aton(address) + _padded(port)


def _padded(port: str) -> bytes:
    return int(port).to_bytes(2, "big") + bytes(2)


def _text(key: bytes) -> str:
    client, address = socket.inet_ntoa(key[:_DESTINATION]), key[_DESTINATION:_PROTOCOL]
    port = int.from_bytes(key[_PORT : _PORT + 2], "big")
    return f"{client} . {socket.inet_ntoa(address)} . {PROTOCOL_NAMES[key[_PROTOCOL]]} . {port}"
