"""Traces of revisions to an OpenTelemetry collector, by OTLP over HTTP.

Run by the composition root when an endpoint is configured; the SDK is imported then, and only
then. A trace that cannot be delivered is logged and given up: the exporter has its own retries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from reconciler.model.gitops import Revision, RevisionStep
from reconciler.sync.progress import Steps
from reconciler.sync.trace import ENDS, Span, Trace, trace_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_PATH = "/v1/traces"
_TIMEOUT_SECONDS = 10.0
_REMEMBERED = 10_000

Export = Callable[[Trace], bool]
"""Delivers a trace and says whether it did; blocking."""


class Tracer:
    """Exports one trace for each revision that ends; `endpoint` is the collector's base URL."""

    def __init__(self, steps: Steps, endpoint: str, version: str) -> None:
        self._endpoint, self._version = endpoint, version
        self._waiting: asyncio.Queue[Trace] = asyncio.Queue(maxsize=1000)
        self._told: set[str] = set()
        self._log = structlog.get_logger(component="tracing")
        steps.listen(self._reached)

    def _reached(self, revision: Revision, steps: Sequence[RevisionStep]) -> None:
        name = revision.metadata.name
        if name in self._told or not any(step.phase in ENDS for step in steps):
            return
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told.add(name)
        if self._waiting.full():
            self._log.warning("trace.dropped", revision=revision.spec.revision)
        else:
            self._waiting.put_nowait(trace_of(revision))

    async def run(self) -> None:
        """Deliver until cancelled."""
        export = await asyncio.to_thread(exporter, self._endpoint, self._version)
        while True:
            trace = await self._waiting.get()
            if not await asyncio.to_thread(export, trace):
                revision = trace.attributes["reconciler.revision"]
                self._log.warning("trace.failed", revision=revision, reason=self._endpoint)


def exporter(endpoint: str, version: str) -> Export:
    """Return what delivers traces to a collector. Imports the SDK."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - see above
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415 - see above

    resource = Resource.create({"service.name": "reconciler", "service.version": version})
    otlp = OTLPSpanExporter(endpoint.rstrip("/") + _PATH, timeout=_TIMEOUT_SECONDS)

    def export(trace: Trace) -> bool:
        return otlp.export(_readable(trace, resource)) is SpanExportResult.SUCCESS

    return export


def _readable(trace: Trace, resource: object) -> list[ReadableSpan]:
    """Return the spans as the SDK's exporters take them."""
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - see the module's words
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415
    from opentelemetry.trace.status import Status, StatusCode  # noqa: PLC0415

    sampled = TraceFlags(TraceFlags.SAMPLED)

    def context(span: Span) -> SpanContext:
        return SpanContext(trace.trace_id, span.span_id, is_remote=False, trace_flags=sampled)

    def readable(span: Span, parent: SpanContext | None) -> ReadableSpan:
        failed = Status(StatusCode.ERROR, span.error)
        return ReadableSpan(
            name=span.name,
            context=context(span),
            parent=parent,
            resource=resource,  # type: ignore[arg-type]
            attributes=dict(trace.attributes) if parent is None else {},
            status=failed if span.error else Status(StatusCode.OK),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=InstrumentationScope("reconciler.sync"),
        )

    above = context(trace.root)
    return [readable(trace.root, None), *(readable(each, above) for each in trace.children)]
