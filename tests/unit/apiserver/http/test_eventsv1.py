"""events.k8s.io/v1 and core/v1: one store of events under two sets of names."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from reconciler.apiserver.http.message import Request, Stream
from tests.unit.apiserver.security.cluster import Cluster

CORE = "/api/v1/namespaces/default/events"
OWN = "/apis/events.k8s.io/v1/namespaces/default/events"
NEW: dict[str, Any] = {
    "metadata": {"name": "e"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "example.com/robot",
    "reportingInstance": "robot-1",
    "action": "Jump",
    "reason": "Jumped",
    "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
    "note": "it jumped",
    "type": "Normal",
}
OLD: dict[str, Any] = {
    "metadata": {"name": "old"},
    "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
    "message": "it started",
    "reason": "Started",
    "type": "Normal",
    "source": {"component": "kubelet"},
    "count": 3,
    "firstTimestamp": "2026-01-01T00:00:00Z",
    "lastTimestamp": "2026-01-01T00:01:00Z",
}


async def test_what_is_written_to_one_group_is_read_from_the_other() -> None:
    cluster = await Cluster().start()
    code, made = await cluster.ask("POST", OWN, NEW)
    assert (code, made["apiVersion"], made["note"]) == (201, "events.k8s.io/v1", "it jumped")
    _, core = await cluster.ask("GET", f"{CORE}/e")
    assert core["apiVersion"] == "v1"
    assert (core["message"], core["involvedObject"]["name"]) == ("it jumped", "p")
    assert core["reportingComponent"] == "example.com/robot"
    await cluster.ask("POST", CORE, OLD)
    _, own = await cluster.ask("GET", f"{OWN}/old")
    assert (own["note"], own["regarding"]["name"]) == ("it started", "p")
    assert own["deprecatedCount"] == 3
    assert own["deprecatedSource"] == {"component": "kubelet"}
    assert own["deprecatedLastTimestamp"] == "2026-01-01T00:01:00Z"
    assert own["metadata"]["uid"] == (await cluster.ask("GET", f"{CORE}/old"))[1]["metadata"]["uid"]


async def test_lists_select_by_their_own_names() -> None:
    cluster = await Cluster().start()
    await cluster.ask("POST", OWN, NEW)
    await cluster.ask("POST", CORE, OLD)
    _, every = await cluster.ask("GET", OWN)
    assert (every["kind"], every["apiVersion"]) == ("EventList", "events.k8s.io/v1")
    assert [each["metadata"]["name"] for each in every["items"]] == ["e", "old"]
    _, some = await cluster.ask("GET", f"{OWN}?fieldSelector=regarding.name=p,reason=Jumped")
    assert [each["metadata"]["name"] for each in some["items"]] == ["e"]
    assert (await cluster.ask("GET", f"{OWN}?fieldSelector=involvedObject.name=p"))[0] == 400


async def test_a_table_is_that_of_events() -> None:
    cluster = await Cluster().start()
    await cluster.ask("POST", CORE, OLD)
    wanted = "application/json;as=Table;v=v1;g=meta.k8s.io"
    tables = [(await cluster.ask("GET", path, accept=wanted))[1] for path in (CORE, OWN)]
    assert tables[0]["rows"][0]["cells"] == tables[1]["rows"][0]["cells"]
    assert "it started" in tables[1]["rows"][0]["cells"]


@pytest.mark.parametrize("kind", ["merge-patch+json", "strategic-merge-patch+json"])
async def test_a_series_goes_on_and_nothing_else_changes(kind: str) -> None:
    cluster = await Cluster().start()
    await cluster.ask("POST", OWN, NEW)
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:02:00.000000Z"}
    code, answer = await cluster.ask(
        "PATCH", f"{OWN}/e", {"series": series}, content_type=f"application/{kind}"
    )
    assert (code, answer["series"]) == (200, series)
    assert (await cluster.ask("GET", f"{CORE}/e"))[1]["series"] == series
    code, answer = await cluster.ask(
        "PATCH", f"{OWN}/e", {"note": "else"}, content_type=f"application/{kind}"
    )
    assert (code, answer["details"]["causes"][0]["field"]) == (422, "message")


async def test_an_apply_makes_one() -> None:
    cluster = await Cluster().start()
    whole = {"apiVersion": "events.k8s.io/v1", "kind": "Event", **NEW}
    code, answer = await cluster.ask(
        "PATCH",
        f"{OWN}/e?fieldManager=robot",
        whole,
        content_type="application/apply-patch+yaml",
    )
    assert (code, answer["note"]) == (201, "it jumped")


async def test_one_that_is_deleted_is_gone_from_both() -> None:
    cluster = await Cluster().start()
    await cluster.ask("POST", CORE, OLD)
    assert (await cluster.ask("DELETE", f"{OWN}/old"))[0] == 200
    assert (await cluster.ask("GET", f"{CORE}/old"))[0] == 404
    await cluster.ask("POST", CORE, OLD)
    code, answer = await cluster.ask("DELETE", OWN)
    assert (code, len(answer["items"])) == (200, 1)
    assert (await cluster.ask("GET", CORE))[1]["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"eventTime": None}, "eventTime"),
        ({"type": "Odd"}, "type"),
        ({"reportingController": ""}, "reportingController"),
        ({"action": ""}, "action"),
        ({"note": "x" * 1025}, "message"),
        ({"deprecatedCount": 1}, "count"),
        ({"series": {"count": 1, "lastObservedTime": NEW["eventTime"]}}, "series.count"),
        ({"regarding": {"kind": "Pod", "namespace": "else"}}, "involvedObject.namespace"),
    ],
)
async def test_a_new_style_event_is_told_in_full(change: dict[str, Any], field: str) -> None:
    cluster = await Cluster().start()
    code, answer = await cluster.ask("POST", OWN, {**NEW, **change})
    assert code == 422
    assert field in [cause["field"] for cause in answer["details"]["causes"]]


class Sink:
    def __init__(self) -> None:
        self.data = b""
        self.news = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.send(data)

    def send(self, data: bytes) -> bool:
        self.data += data
        self.news.set()
        return True

    async def drain(self) -> None:
        """Nobody is slow here."""


async def test_a_watch_tells_of_core_events_by_its_own_names() -> None:
    cluster = await Cluster().start()
    headers = {"authorization": "Bearer right"}
    asked = Request("GET", OWN, {"watch": ["1"]}, headers)
    answer = await cluster.api.handle(asked)
    assert isinstance(answer, Stream)
    sink = Sink()
    task = asyncio.create_task(answer.produce(sink))
    await cluster.ask("POST", CORE, OLD)
    await asyncio.wait_for(sink.news.wait(), 5)
    task.cancel()
    told = json.loads(sink.data.splitlines()[0])
    assert (told["type"], told["object"]["note"]) == ("ADDED", "it started")
