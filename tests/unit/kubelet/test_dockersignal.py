"""A signal past the engine reaches the very process, or nobody."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.kubelet.dockersignal import deliver, is_settled


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as started:
        yield started
        started.kill()


def own(process: subprocess.Popen[bytes]) -> str:
    """Return what the process' control groups say, as they say the id of a container."""
    return Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()[-1]


def test_the_process_gets_the_signal(process: subprocess.Popen[bytes]) -> None:
    assert deliver(process.pid, own(process), "SIGUSR1")
    assert process.wait(10) == -signal.SIGUSR1


@pytest.mark.parametrize("name", ["", "15", "QUIT", "SIGRTMIN+3", "__class__", "SIGNONE"])
def test_what_is_no_name_of_a_signal_is_left_to_the_engine(
    process: subprocess.Popen[bytes], name: str
) -> None:
    assert not deliver(process.pid, own(process), name)
    assert process.poll() is None


def test_a_process_of_another_container_gets_nothing(process: subprocess.Popen[bytes]) -> None:
    assert not deliver(process.pid, "f" * 64, "SIGTERM")
    assert process.poll() is None


def test_no_process_is_left_to_the_engine(process: subprocess.Popen[bytes]) -> None:
    group = own(process)
    process.kill()
    process.wait()
    assert not deliver(process.pid, group, "SIGTERM")
    for pid in (0, -1):
        assert not deliver(pid, group, "SIGTERM")


def test_what_the_kernel_refuses_is_left_to_the_engine(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_process: int, _number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    group = own(process)
    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    assert not deliver(process.pid, group, "SIGTERM")


def test_what_began_just_now_is_left_to_the_engine_or_it_would_not_hear() -> None:
    now = datetime.now(UTC)
    assert is_settled(now - timedelta(seconds=30))
    assert not is_settled(now - timedelta(milliseconds=50))
    assert not is_settled(now + timedelta(hours=1))
    assert not is_settled(None)
