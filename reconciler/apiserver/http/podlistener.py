"""Where pods reach the API when it listens on loopback alone: the address of their own bridge.

Called by `server.py`. Only what comes from the pods' range or from this host is served there; the
rest of the world finds it closed, as the setting `listen` has it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

from reconciler.apiserver.http.connection import PeerIdentity
from reconciler.apiserver.security.identity import Identity

# linux/in.h: bind to an address that the host will have when the bridge is there.
_IP_FREEBIND = 15
_IPV6 = 6
_DISCARD_PORT = 9


@dataclass(frozen=True, slots=True)
class PodAccess:
    """The bridge's address, and the range that pods have their addresses from."""

    gateway: str
    cidr: str


def is_closed_to_pods(listen: str) -> bool:
    """Say whether pods need a listener of their own: they speak IPv4, and not on loopback."""
    address = ipaddress.ip_address(listen)
    return address.is_loopback or (address.version == _IPV6 and address.is_unspecified)


def pod_side(listen: str, access: PodAccess) -> str:
    """Return the address at which pods reach a server that listens at `listen`."""
    address = ipaddress.ip_address(listen)
    return access.gateway if address.is_loopback or address.is_unspecified else listen


def bound(address: str, port: int) -> socket.socket:
    """Return a socket bound to the bridge's address, before or after the bridge is made."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        listening.bind((address, port))
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"{error.strerror} ({address}:{port}, for pods)") from error
    return listening


def from_pods(identify: PeerIdentity, access: PodAccess) -> PeerIdentity:
    """Return `identify` for a listener that cuts whoever comes from elsewhere than from pods."""
    pods = ipaddress.IPv4Network(access.cidr)

    def of_pod(transport: asyncio.Transport) -> Identity | None:
        peer = transport.get_extra_info("peername")
        if not peer or not (ipaddress.ip_address(peer[0]) in pods or _is_own(peer[0])):
            transport.abort()
        return identify(transport)

    return of_pod


def _is_own(address: str) -> bool:
    """Say whether an address is this host's: what it sends to its own service is masqueraded.

    The kernel answers it: to its own address, and to no other, a host speaks from that address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, _DISCARD_PORT))  # sends nothing
        except OSError:
            return False
        return bool(probe.getsockname()[0] == address)
