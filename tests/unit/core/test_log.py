import io
import json
from collections.abc import Iterator

import pytest
import structlog

from reconciler.core.log import configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def settings_kept() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_the_trace_of_an_error_shows_no_values(stream: io.StringIO, settings_kept: None):
    configure(stream=stream)
    password = "hunter" + "2"  # so that the line of code that the trace shows does not have it
    try:
        [password].remove("")
    except ValueError:
        structlog.get_logger().exception("api.crashed")
    told = stream.getvalue()
    assert "ValueError" in told
    assert "hunter2" not in told


def test_a_line_of_a_file_is_json(settings_kept: None):
    stream = io.StringIO()
    configure(stream=stream)
    structlog.get_logger().info("daemon.started", pods=3)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["pods"]) == ("daemon.started", "info", 3)
