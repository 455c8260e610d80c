"""IP addresses as Kubernetes reads them: its ParseIPSloppy. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text means, or None; leading zeroes are read as decimal."""
    try:
        if ":" in text:
            return None if "%" in text else IPv6Address(text)
        parts = text.split(".")
        if not all(part.isascii() and part.isdigit() for part in parts):
            return None
        return IPv4Address(".".join(part.lstrip("0") or "0" for part in parts))
    except AddressValueError:
        return None


@lru_cache(maxsize=16384)
def plain_ipv4(text: str) -> str:
    """Return an IPv4 address in its one form, empty for a text that means none.

    The API takes leading zeroes, which the kernel's tools and the C library read as octal.
    """
    address = parse_ip(text)
    return str(address) if isinstance(address, IPv4Address) else ""
