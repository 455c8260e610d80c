"""Where pods reach the API when it listens on loopback alone: the address of their own bridge.

Called by `server.py`. Only what comes from the pods' range is served there (the host's own calls
to services do, too); the rest of the world finds it closed, as the setting `listen` has it.
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
    except OSError:
        listening.close()
        raise
    return listening


def from_pods(identify: PeerIdentity, access: PodAccess) -> PeerIdentity:
    """Return `identify` for a listener that cuts whoever comes from elsewhere than from pods."""
    pods = ipaddress.IPv4Network(access.cidr)

    def of_pod(transport: asyncio.Transport) -> Identity | None:
        peer = transport.get_extra_info("peername")
        if not peer or ipaddress.ip_address(peer[0]) not in pods:
            transport.abort()
        return identify(transport)

    return of_pod
