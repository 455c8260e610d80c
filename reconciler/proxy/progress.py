"""Publishes up to which EndpointSlices the kernel is programmed. `loop.py` is the only caller.

The object is a ProxyState of the node's name. A kubelet that wants to end a pod waits until every
ProxyState has reached the slices in which it is no longer ready.
"""

from __future__ import annotations

import asyncio

import structlog

from reconciler.client.protocol import AlreadyExists, ApiError, Client, ConflictError, NotFound
from reconciler.model.gitops import ProxyState, ProxyStateStatus
from reconciler.model.meta import ObjectMeta

_RETRY_SECONDS = 0.2


class Progress:
    """The ProxyState of one node; always the newest version is written, never each."""

    def __init__(self, client: Client, node_name: str) -> None:
        self._client = client
        self._name = node_name
        self._version = ""
        self._state: ProxyState | None = None
        self._advanced = asyncio.Event()
        self._log = structlog.get_logger(component="proxy")

    def reached(self, version: int) -> None:
        """Say that the kernel has every change of a slice up to resourceVersion `version`."""
        if self._version != str(version):
            self._version = str(version)
            self._advanced.set()

    async def run(self) -> None:
        """Write each advance until cancelled; a failed write is tried again."""
        while True:
            await self._advanced.wait()
            self._advanced.clear()
            try:
                await self._write()
            except ApiError as error:
                self._state = None
                self._advanced.set()
                if not isinstance(error, ConflictError | AlreadyExists):
                    self._log.warning("proxy.progress_unpublished", reason=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self) -> None:
        state = self._state or await self._read()
        status = ProxyStateStatus(endpoints_resource_version=self._version)
        self._state = await self._client.update(
            state.replace(status=status), subresource="status", manager="proxy"
        )

    async def _read(self) -> ProxyState:
        try:
            return await self._client.get(ProxyState, self._name)
        except NotFound:
            state = ProxyState(metadata=ObjectMeta(name=self._name))
            return await self._client.create(state, manager="proxy")
