"""The bridge's sysctl that node ports on 127.0.0.1 need; `loop.py` calls it.

The kubelet makes the bridge; this only sets `route_localnet` on it, so that a connection from
127.0.0.1 may leave over it. The rules in `skeleton.py` close what that would open.
"""

from __future__ import annotations

from pathlib import Path

_CONFIGURATION = Path("/proc/sys/net/ipv4/conf")


def let_loopback_out(bridge: str, configuration: Path = _CONFIGURATION) -> bool:
    """Set the bridge's `route_localnet`; return whether it was changed.

    A bridge that is not there yet is no error. Raises `OSError` where /proc/sys is read-only.
    """
    switch = configuration / bridge / "route_localnet"
    try:
        if switch.read_text().strip() == "1":
            return False
        switch.write_text("1")
    except FileNotFoundError:
        return False
    return True
