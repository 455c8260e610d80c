"""Structured logs: JSON lines when standard error is no terminal, readable when it is.

Called once by the composition root. Modules call `structlog.get_logger(component=...)` and log
dotted event names; the names are an interface, listed in `docs/logs.md`.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send logs of `level` ("debug", "info", "warning", "error") and above to `stream`.

    `stream` is standard output by default, as a container's log is read from there.
    """
    out = stream or sys.stdout
    terminal = out.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(terminal=terminal),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )


def _renderers(*, terminal: bool) -> list[structlog.typing.Processor]:
    if terminal:
        # Not rich's tracebacks: they show the values of variables, which may be secrets.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    return [structlog.processors.format_exc_info, _json_line]


def _json_line(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    lead = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return orjson.dumps({**lead, **event}, default=str).decode()
