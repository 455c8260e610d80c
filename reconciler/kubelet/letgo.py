"""Leave before you die: when have the proxies let go of a pod that is to end?

A pod that ends gets its SIGTERM only when no service sends it new connections for want of
knowing: no EndpointSlice has its address as ready without saying that it is terminating, and every
proxy has in its kernel the slices that say so. What proxies still send to the last endpoint of a
service they send on purpose. Called by the kubelet; pure bookkeeping on two informers, it writes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.endpointslice import BY_ADDRESS, EndpointSlice, called_addresses
from reconciler.model.gitops import ProxyState


class LetGo:
    """Which addresses are still being sent to. `moved` is called when an answer may change."""

    def __init__(
        self,
        slices: Informer[EndpointSlice],
        proxies: Informer[ProxyState],
        moved: Callable[[], None],
    ) -> None:
        self._slices, self._proxies, self._moved = slices, proxies, moved
        self._left: dict[str, int] = {}
        slices.add_index(BY_ADDRESS, called_addresses)
        slices.subscribe(self._slice_changed)
        proxies.subscribe(self._proxy_changed)

    def done(self, address: str) -> bool:
        """Tell whether nobody sends new connections to the address any more."""
        if not address:
            return True
        if self._slices.by_index(BY_ADDRESS, address):
            return False
        left = self._left.get(address, 0)
        return all(_heard(proxy) >= left for proxy in self._proxies.items())

    def forget(self, address: str) -> None:
        """The address is free: what was known of its former pod is over."""
        self._left.pop(address, None)

    def _slice_changed(
        self, _kind: EventType, old: EndpointSlice | None, new: EndpointSlice | None
    ) -> None:
        before = set(called_addresses(old)) if old is not None else set()
        after = set(called_addresses(new)) if new is not None else set()
        source = new or old
        version = _version(source.metadata.resource_version) if source is not None else 0
        for address in after:
            self._left.pop(address, None)
        for address in before - after:
            self._left[address] = max(version, self._left.get(address, 0))
        if before - after:
            self._moved()

    def _proxy_changed(
        self, _kind: EventType, _old: ProxyState | None, _new: ProxyState | None
    ) -> None:
        if self._left and self._proxies.synced.is_set():
            self._drop_known()
        self._moved()

    def _drop_known(self) -> None:
        """Forget what every proxy has heard of: other nodes' addresses, which nobody asks about."""
        heard = min(map(_heard, self._proxies.items()), default=0)
        self._left = {address: left for address, left in self._left.items() if left > heard}


def _heard(proxy: ProxyState) -> int:
    """Return the version of the slices that a proxy has in its kernel."""
    return _version(proxy.status.endpoints_resource_version)


def _version(text: str) -> int:
    return int(text) if text.isdecimal() else 0
