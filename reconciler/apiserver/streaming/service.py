"""The streamed subresources by name: log, exec, attach, portforward, proxy. Called by `api.py`."""

from __future__ import annotations

from posixpath import normpath
from random import Random
from urllib.parse import quote, urlencode

from reconciler.apiserver.http import status
from reconciler.apiserver.http.message import Answer, Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.registry.errors import StatusError, unavailable
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.streaming import backend, commands, forward, logs, pods, relay
from reconciler.core.clock import Clock
from reconciler.model.pod import Pod
from reconciler.model.streaming import Command, NodeStreams, Pipe, StreamFailure, Terminal

_MOVED = 301


class Streams:
    """See the module. `node` is this host's own, None where the API runs without one."""

    def __init__(
        self, registry: Registry, clock: Clock, node: NodeStreams | None, random: Random
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._streams = node
        self._random = random

    async def handle(self, request: Request, target: Target) -> Answer:
        """Answer a request for a streamed subresource. Raises `StatusError`."""
        part, _, path = target.subresource.partition("/")
        if part == "proxy":
            return await self._proxy(request, target, path)
        if request.method not in ("GET", "POST"):
            raise status.no_method()
        pod = self._registry.get(Pod, target.name, target.namespace)
        match part, request.method:
            case "log", "GET":
                return await self._log(request, pod)
            case "exec" | "attach", _:
                return self._command(request, pod, attach=part == "attach")
            case "portforward", _:
                return self._forward(request, pod)
            case _:
                raise status.no_method()

    def _node(self) -> NodeStreams:
        if self._streams is None:
            raise unavailable("no node answers here: this API server runs without a kubelet")
        return self._streams

    async def _log(self, request: Request, pod: Pod) -> Answer:
        query = logs.read(request, pod.metadata.name, self._clock)
        container = pods.container_of(pod, request.one("container"))
        if not pod.spec.node_name:
            return Reply(204, b"", "")  # kube-apiserver has nowhere to ask
        node = self._node()
        found = pods.logged_id(pod, container, previous=request.flag("previous"))
        lines = node.logs(pod, found, query)
        try:
            first = None if query.follow else await anext(lines, None)
        except StreamFailure as error:
            raise StatusError(500, "InternalError", str(error)) from error
        return logs.answer(lines, first)

    def _command(self, request: Request, pod: Pod, *, attach: bool) -> Answer:
        container = pods.container_of(pod, request.one("container"))
        pods.require_host(pod)
        command: Command = commands.command_of(request, attach=attach)
        node, found = self._node(), pods.running_id(pod, container)

        async def start() -> Terminal:
            return await node.run(pod, found, command)

        return commands.upgrade(request, command, start)

    def _forward(self, request: Request, pod: Pod) -> Answer:
        pods.require_host(pod)
        node = self._node()

        async def dial(port: int) -> Pipe:
            return await node.dial(pod, port)

        return forward.upgrade(request, dial)

    async def _proxy(self, request: Request, target: Target, path: str) -> Answer:
        bare = target.subresource == "proxy" and not request.path.endswith("/")
        if target.plural == "pods":
            to = backend.of_pod(self._registry, target)
        else:
            to = backend.of_service(self._registry, target, self._random)
        if bare and "upgrade" not in request.headers:
            query = f"?{urlencode(request.query, doseq=True)}" if request.query else ""
            return Reply(_MOVED, b"", "", [("Location", f"{quote(request.path)}/{query}")])
        return await relay.relay(request, to, cleaned(path, request.path))


def cleaned(path: str, whole: str) -> str:
    """Return the path for a server behind a proxy: JoinPreservingTrailingSlash to its root."""
    cleaned = normpath(f"/{path.lstrip('/')}")
    return f"{cleaned}/" if whole.endswith("/") and cleaned != "/" else cleaned
