"""`pods/log`: PodLogOptions in, a container's log out. Called by `service.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

from reconciler.admission.errors import FieldError, Reason, invalid
from reconciler.admission.status import invalid_message
from reconciler.apiserver.http import query
from reconciler.apiserver.http.message import TEXT, Request, Sink, Stream
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.core.clock import Clock
from reconciler.model.streaming import LogQuery

_LOG_KIND = "PodLogOptions"
_AGES = 10**9  # seconds; further back than any log


def read(request: Request, pod: str, clock: Clock) -> LogQuery:
    """Read the options for a pod's log; raises `StatusError` as ValidatePodLogOptions does."""
    tail, limit = _number(request, "tailLines"), _number(request, "limitBytes")
    seconds, time = _number(request, "sinceSeconds"), _time(request)
    faults = list(_faults(tail, limit, seconds, time))
    if faults:
        raise _refused(pod, faults)
    since = time if seconds is None else clock.now() - timedelta(seconds=min(seconds, _AGES))
    return LogQuery(request.flag("follow"), request.flag("timestamps"), tail, since, limit)


def _faults(
    tail: int | None, limit: int | None, seconds: int | None, time: datetime | None
) -> Iterator[FieldError]:
    if tail is not None and tail < 0:
        yield invalid("tailLines", tail, "must be greater than or equal to 0")
    if limit is not None and limit < 1:
        yield invalid("limitBytes", limit, "must be greater than 0")
    if seconds is not None and time is not None:
        text = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        yield FieldError("", Reason.FORBIDDEN, text)
    elif seconds is not None and seconds < 1:
        yield invalid("sinceSeconds", seconds, "must be greater than 0")


def _refused(pod: str, faults: list[FieldError]) -> StatusError:
    causes = [
        {"reason": fault.reason.value, "message": fault.message, "field": fault.path}
        for fault in faults
    ]
    text = invalid_message(_LOG_KIND, pod, tuple(faults))
    details = {"name": pod, "kind": _LOG_KIND, "causes": causes}
    return StatusError(422, "Invalid", text, details)


def _number(request: Request, name: str) -> int | None:
    text = request.one(name)
    return query.integer(text) if text else None


def _time(request: Request) -> datetime | None:
    text = request.one("sinceTime")
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    return time


def answer(lines: AsyncIterator[bytes], first: bytes | None) -> Stream:
    """Return the answer that begins with `first` and goes on with `lines`."""

    async def produce(sink: Sink) -> None:
        pieces: Any = lines
        async with aclosing(pieces):
            if first:
                await sink.write(first)
            async for data in pieces:
                await sink.write(data)

    return Stream(produce, TEXT.replace("; charset=utf-8", ""))
