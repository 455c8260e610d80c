"""What is made of the steps of revisions: measures, events and traces."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.core.ids import Ids
from reconciler.model.config import ConfigMap
from reconciler.model.event import Event
from reconciler.model.gitops import (
    Revision,
    RevisionSpec,
    RevisionStatus,
    RevisionStep,
    Source,
)
from reconciler.model.meta import ObjectMeta
from reconciler.sync.care import APPROVE_ANNOTATION
from reconciler.sync.chronicle import Chronicle
from reconciler.sync.durations import Durations
from reconciler.sync.progress import Steps
from reconciler.sync.steering import Care
from reconciler.sync.trace import trace_of
from reconciler.sync.tracing import Tracer
from tests.unit.sync.cluster import Cluster, snapshot, until
from tests.unit.sync.world import WEB, manifest, settings

BAD = b"kind: ConfigMap\n"


@asynccontextmanager
async def told(cluster):
    """Run all that listens, as the composition root does."""
    revisions, sources = Informer(cluster.client, Revision), Informer(cluster.client, Source)
    recorder = EventRecorder(cluster.client, cluster.clock, Ids())
    cluster.recorder = recorder.speaker("sync")
    steps, durations = Steps(revisions), Durations()
    steps.listen(durations.reached)
    Chronicle(steps, revisions, sources, cluster.recorder)
    async with cluster.running():
        runs = (revisions.run(), sources.run(), recorder.run())
        tasks = [asyncio.create_task(each) for each in runs]
        try:
            yield durations
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def run(virtual, clock):
    def runner(scenario, care=None):
        async def body():
            cluster = Cluster(clock, care=care or Care(prune_threshold=100))
            async with told(cluster) as durations:
                await scenario(cluster, durations)

        virtual.run_until_complete(body())

    return runner


def events(cluster, kind="", name=""):
    found = cluster.registry.list(Event)
    return [
        (event.reason, event.message)
        for event in sorted(found, key=lambda event: int(event.metadata.resource_version))
        if kind in ("", event.involved_object.kind) and name in ("", event.involved_object.name)
    ]


def test_each_phase_of_a_revision_is_an_event_and_a_measure(run):
    async def scenario(cluster, durations):
        shown = replace(snapshot(WEB, settings("s")), seconds=1.5)
        cluster.feed.put(shown)
        await cluster.revision(shown.revision, "Healthy")
        await cluster.apply(WEB, BAD)
        await cluster.settled()
        reasons = [reason for reason, _ in events(cluster, "Revision", "main-1")]
        assert reasons == ["Fetched", "Validated", "Planned", "Applied", "Healthy"]
        ((_, _), (reason, message)) = events(cluster, "Revision", "main-2")
        assert (reason, message) == ("Rejected", "1 error; what ran keeps running")
        text = durations.text()
        fetched = 'reconciler_revision_phase_duration_seconds_{}{{source="main",phase="Fetched"}} '
        assert fetched.format("count") + "2\n" in text
        assert fetched.format("sum") + "1.5\n" in text
        for outcome in ("Healthy", "Rejected"):
            labels = f'{{source="main",outcome="{outcome}"}}'
            assert f"reconciler_revision_outcomes_total{labels} 1\n" in text
            assert f"reconciler_revision_duration_seconds_count{labels} 1\n" in text

    run(scenario)


def test_what_was_reached_before_this_start_is_not_counted_again(virtual, clock):
    async def body():
        cluster = Cluster(clock)
        async with told(cluster):
            await cluster.apply(WEB)
            await cluster.settled()
        before = events(cluster)
        async with told(cluster) as durations:
            cluster.feed.show(WEB)
            await cluster.settled()
            assert "{" not in durations.text()
            assert events(cluster) == before

    virtual.run_until_complete(body())


def test_holds_and_approvals_are_told(run):
    async def scenario(cluster, _):
        await cluster.apply(WEB, settings("a"))
        held = await cluster.apply(WEB)
        assert held.status.phase == "Held"

        async def approve(word):
            live = cluster.registry.get(Revision, held.metadata.name)
            meta = live.metadata.replace(annotations={APPROVE_ANNOTATION: word})
            await cluster.client.update(live.replace(metadata=meta), manager="someone")
            await cluster.settled()

        await approve("wrong")
        await approve(held.status.plan_hash)
        told = events(cluster, "Revision", held.metadata.name)
        assert ("Approved", "an approval of another plan: it holds on") in told
        assert ("Approved", "its plan is approved") in told
        assert told[-1][0] == "Healthy"
        assert any(reason == "Held" and "1 of 2 objects" in words for reason, words in told)

    run(scenario, Care(prune_threshold=30))


def test_drift_is_told_on_the_object_and_on_its_source(run):
    async def scenario(cluster, _):
        report = {"annotations": {"reconciler.dev/drift": "report"}}
        tolerant = manifest("ConfigMap", "t", metadata=report, data={"k": "1"})
        await cluster.apply(WEB, settings("s", k="1"), tolerant)
        for name in ("s", "t"):
            live = cluster.registry.get(ConfigMap, name, "web")
            await cluster.client.update(live.replace(data={"k": "hand"}), manager="ada")
        await cluster.settled()
        words = "data.k, set by ada, taken back to what 00001.yaml:1 declares"
        assert ("DriftCorrected", words) in events(cluster, "ConfigMap", "s")
        assert ("DriftCorrected", f"ConfigMap web/s: {words}") in events(cluster, "Source")
        left = ("DriftLeft", "data.k, set by ada, left as it is (report)")
        assert left in events(cluster, "ConfigMap", "t")
        await cluster.client.delete(ConfigMap, "s", "web")
        await cluster.settled()
        again = ("DriftCorrected", "deleted by hand, made again as 00001.yaml:1 declares it")
        assert again in events(cluster, "ConfigMap", "s")

    run(scenario)


def test_a_source_that_cannot_be_read_tells_so_and_when_it_can_again(run):
    async def scenario(cluster, _):
        await cluster.apply(WEB)
        cluster.feed.fail("no route")
        await cluster.source("Unreachable")
        await cluster.settled()
        await cluster.apply(WEB, settings("s"))
        await cluster.settled()
        told = events(cluster, "Source")
        assert ("Unreachable", "no route") in told
        assert ("Resumed", "it is Unreachable no longer") in told

    run(scenario)


def revision(*steps, phase="Healthy"):
    made = tuple(
        RevisionStep(phase=name, time="2026-01-01T00:00:10Z", duration_seconds=seconds, message="m")
        for name, seconds in steps
    )
    return Revision(
        metadata=ObjectMeta(name="main-1", uid="u"),
        spec=RevisionSpec(source="main", revision="c0ffee", sequence=1),
        status=RevisionStatus(phase=phase, steps=made),
    )


WHOLE = revision(
    ("Fetched", 1.5), ("Rendered", 0.25), ("Validated", 0.25), ("Planned", 0.5), ("Pulled", 4.0),
    ("Applied", 0.5), ("Progressing", 1.0), ("Healthy", 2.0),
)  # fmt: skip


def test_spans_follow_one_another_from_the_fetch_to_the_end():
    trace = trace_of(WHOLE)
    spans = [(span.name, span.start, span.end) for span in trace.children]
    names = [name for name, _, _ in spans]
    assert names == ["fetch", "render", "validate", "plan", "pull", "apply", "ready"]
    assert all(before[2] == after[1] for before, after in pairwise(spans))
    seconds = [(end - start) / 1e9 for _, start, end in spans]
    assert seconds == [1.5, 0.25, 0.25, 0.5, 4.0, 0.5, 3.0]
    assert (trace.root.start, trace.root.end) == (spans[0][1], spans[-1][2])
    assert trace.root.start == 1767225610 * 10**9 - 1_500_000_000
    assert trace.root.error == ""
    assert trace_of(WHOLE) == trace
    assert len({span.span_id for span in (trace.root, *trace.children)}) == 8


def test_a_failed_revision_is_a_failed_trace():
    trace = trace_of(revision(("Fetched", 0), ("Planned", 1), ("Failed", 2), phase="Failed"))
    assert [(span.name, span.error) for span in trace.children][-1] == ("failed", "m")
    assert trace.root.error == "m"


class Collector:
    """An OTLP/HTTP receiver: what an OpenTelemetry collector does, up to the parsing."""

    def __init__(self):
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


class Told:
    """Steps whose listeners a test calls itself."""

    def listen(self, listener):
        self.reached = listener


async def test_a_revision_is_one_trace_at_a_real_otlp_receiver(collector):
    steps = Told()
    tracer = Tracer(steps, collector.url, "1.2")
    running = asyncio.create_task(tracer.run())
    try:
        steps.reached(WHOLE, WHOLE.status.steps[:-1])  # not at its end yet
        steps.reached(WHOLE, WHOLE.status.steps[-1:])
        steps.reached(WHOLE, WHOLE.status.steps[-1:])
        await until(lambda: collector.requests, 20)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    (request,) = collector.requests
    (of_resource,) = request.resource_spans
    named = {each.key: each.value.string_value for each in of_resource.resource.attributes}
    assert (named["service.name"], named["service.version"]) == ("reconciler", "1.2")
    spans = {span.name: span for each in of_resource.scope_spans for span in each.spans}
    root = spans.pop("revision")
    assert set(spans) == {"fetch", "render", "validate", "plan", "pull", "apply", "ready"}
    assert {span.trace_id for span in spans.values()} == {root.trace_id}
    assert {span.parent_span_id for span in spans.values()} == {root.span_id}
    assert root.parent_span_id == b""
    words = {each.key: each.value.string_value for each in root.attributes}
    assert words["reconciler.source"] == "main"
    assert words["reconciler.outcome"] == "Healthy"


async def test_a_collector_that_refuses_costs_a_line_in_the_log_and_nothing_else(collector, capfd):
    collector.close()
    steps = Told()
    tracer = Tracer(steps, "http://127.0.0.1:9", "1")
    running = asyncio.create_task(tracer.run())
    steps.reached(WHOLE, WHOLE.status.steps)
    told: list[str] = []

    def logged():
        told.append(capfd.readouterr().out)
        return "trace.failed" in "".join(told)

    await until(logged, 30)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_without_an_endpoint_nothing_of_the_sdk_is_imported():
    code = (
        "import sys, reconciler.app, reconciler.sync.tracing\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
