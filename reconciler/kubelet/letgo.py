"""Leave before you die: when have the proxies let go of a pod that is to end?

A pod that ends gets its SIGTERM only when no service sends it new connections: no Endpoints
object has its address as ready, and every proxy has in its kernel the Endpoints that left it
out. Called by the kubelet; pure bookkeeping on two informers, it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.gitops import ProxyState
from reconciler.model.service import Endpoints

_BY_ADDRESS = "ready-address"


class LetGo:
    """Which addresses are still being sent to. `moved` is called when an answer may change."""

    def __init__(
        self,
        endpoints: Informer[Endpoints],
        proxies: Informer[ProxyState],
        moved: Callable[[], None],
    ) -> None:
        self._endpoints, self._proxies, self._moved = endpoints, proxies, moved
        self._left: dict[str, int] = {}
        endpoints.add_index(_BY_ADDRESS, ready_addresses)
        endpoints.subscribe(self._endpoints_changed)
        proxies.subscribe(self._proxy_changed)

    def done(self, address: str) -> bool:
        """Tell whether nobody sends new connections to the address any more."""
        if not address:
            return True
        if self._endpoints.by_index(_BY_ADDRESS, address):
            return False
        left = self._left.get(address, 0)
        return all(
            _version(proxy.status.endpoints_resource_version) >= left
            for proxy in self._proxies.items()
        )

    def forget(self, address: str) -> None:
        """The address is free: what was known of its former pod is over."""
        self._left.pop(address, None)

    def _endpoints_changed(
        self, _kind: EventType, old: Endpoints | None, new: Endpoints | None
    ) -> None:
        before = set(ready_addresses(old)) if old is not None else set()
        after = set(ready_addresses(new)) if new is not None else set()
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
        self._moved()


def ready_addresses(endpoints: Endpoints) -> Iterable[str]:
    """Return the addresses that get connections."""
    return {address.ip for subset in endpoints.subsets for address in subset.addresses}


def _version(text: str) -> int:
    return int(text) if text.isdecimal() else 0
