"""The containers that failed under a revision, with the last lines that they wrote.

Held by the loop, which asks when a revision fails. Which containers failed is `casualties.py`'s;
their logs are read from the node that has them, as `kubectl logs` would. It writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from reconciler.model.gitops import RevisionCasualty
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod
from reconciler.model.streaming import LogQuery, NodeStreams, StreamFailure
from reconciler.sync.casualties import casualties, last_container, pods_behind
from reconciler.sync.target import Target

_LINES = 20
_BYTES = 4096
_SECONDS = 5.0


class LastWords:
    """Reads what failed containers said; without `streams` only that they failed."""

    def __init__(self, live: Mapping[ObjectKey, KubeObject], streams: NodeStreams | None) -> None:
        self._live = live
        self._streams = streams

    def behind(self, target: Target) -> list[Pod]:
        """Return the pods of what failed of a target, as they are now."""
        return pods_behind(self._live.values(), target.failed)

    async def of(self, pods: Sequence[Pod]) -> tuple[RevisionCasualty, ...]:
        """Return the casualties among pods."""
        lost = casualties(pods)
        named = {pod.key: pod for pod in pods}
        return tuple(await asyncio.gather(*(self._with_log(each, named) for each in lost)))

    async def _with_log(
        self, lost: RevisionCasualty, pods: Mapping[ObjectKey, Pod]
    ) -> RevisionCasualty:
        pod = pods[ObjectKey("Pod", lost.namespace, lost.pod)]
        container = last_container(pod, lost.container)
        if self._streams is None or not container:
            return lost
        try:
            async with asyncio.timeout(_SECONDS):
                return lost.replace(log=await self._log(self._streams, pod, container))
        except (StreamFailure, TimeoutError, OSError):
            return lost  # its log is gone, or its node does not answer

    async def _log(self, streams: NodeStreams, pod: Pod, container: str) -> str:
        query = LogQuery(tail=_LINES)
        said = b"".join([piece async for piece in streams.logs(pod, container, query)])
        return said[-_BYTES:].decode(errors="replace")
