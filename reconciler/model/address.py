"""IP addresses as Kubernetes reads them: its ParseIPSloppy. Pure."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from socket import AF_INET, inet_pton


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


def plain_ipv4(text: str) -> str:
    """Return an IPv4 address in its one form, empty for a text that means none.

    The API takes leading zeroes, which the kernel's tools and the C library read as octal.
    """
    try:
        inet_pton(AF_INET, text)  # takes the one form alone, and is quick
    except (OSError, ValueError):
        pass
    else:
        return text
    address = parse_ip(text)
    return str(address) if isinstance(address, IPv4Address) else ""
