"""Addresses that are accepted today and will not be, or that are not in their one form. Pure.

Kubernetes' getWarningsForIP and getWarningsForCIDR, with the words of Go's net/netip. Called by
`warnings.py` for addresses that validation has accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from reconciler.admission.errors import go_quote

_SOON = "was accepted, but will be invalid in a future Kubernetes release"
_LOOPS = "which may cause controller apply-loops"
_OCTET_WITH_ZERO = re.compile(r"(^|\.)0\d")
_FOREIGN = re.compile(r"[^0-9.]")


def ip(text: str, path: str) -> Iterator[str]:
    """Yield the warning that an IP address at `path` deserves."""
    if fault := _fault(text):
        yield f"{path}: IP address {_SOON}: {fault}"
    elif ":" in text and (canonical := str(ip_address(text))) != text:
        yield _not_canonical(path, "address", text, canonical)


def cidr(text: str, path: str) -> Iterator[str]:
    """Yield the warning that an address range at `path` deserves."""
    address, _, bits = text.rpartition("/")
    fault = _fault(address)
    if not fault and (not bits.isdecimal() or (len(bits) > 1 and bits[0] == "0")):
        fault = f"bad bits after slash: {go_quote(bits)}"
    if fault:
        yield f"{path}: IP prefix {_SOON}: netip.ParsePrefix({go_quote(text)}): {fault}"
    elif ":" in text:
        canonical = f"{ip_address(address)}/{ip_network(text, strict=False).prefixlen}"
        if canonical != text:
            yield _not_canonical(path, "prefix", text, canonical)


def _fault(address: str) -> str:
    """Return why Go's netip does not take an address; empty when it does."""
    foreign = None if ":" in address.strip() else _FOREIGN.search(address)
    head = f"ParseAddr({go_quote(address)})"
    if foreign is not None:
        return f"{head}: unexpected character (at {go_quote(address[foreign.start() :])})"
    if ":" not in address and _OCTET_WITH_ZERO.search(address):
        return f"{head}: IPv4 field has octet with leading zero"
    return ""


def _not_canonical(path: str, what: str, text: str, canonical: str) -> str:
    form = f"is not in RFC 5952 canonical format ({go_quote(canonical)})"
    return f"{path}: IPv6 {what} {go_quote(text)} {form}, {_LOOPS}"
