"""Addresses of pods of this host of which a process has died, known before any object says so.

The kubelet sees a death within a millisecond; the engine's event, the pod's status and the slices
that follow from it take tens. This is the one word that goes beside the objects, and only a hint:
the proxy takes what stands here for not ready, and the slices, which say the same soon, decide
about everything else. Written by the kubelet, read by the proxy of the same process.
"""

from __future__ import annotations

from collections.abc import Callable


class Casualties:
    """The addresses at which something is dead. Everything happens on the event loop."""

    def __init__(self) -> None:
        self._addresses: set[str] = set()
        self._told: list[Callable[[str], None]] = []

    def __contains__(self, address: object) -> bool:
        """Tell whether the pod of the address lost a process and is not whole again."""
        return address in self._addresses

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._addresses)

    def subscribe(self, told: Callable[[str], None]) -> None:
        """Call `told` with each address whose fate changes, at once."""
        self._told.append(told)

    def lose(self, address: str) -> None:
        """A process of the pod of this address has died."""
        if address not in self._addresses:
            self._addresses.add(address)
            self._tell(address)

    def recover(self, address: str) -> None:
        """The pod is whole and ready, or the address is no longer its own."""
        if address in self._addresses:
            self._addresses.discard(address)
            self._tell(address)

    def _tell(self, address: str) -> None:
        for told in self._told:
            told(address)
