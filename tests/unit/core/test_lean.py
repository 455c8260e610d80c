from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest


def _python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_unwanted_is_left_out_and_can_be_imported_later():
    out = _python(
        "import sys; from reconciler.core.lean import import_without\n"
        "import_without('structlog', 'rich')\n"
        "print('rich' in sys.modules); import rich; print(rich.__name__)"
    )
    assert out.split() == ["False", "rich"]


def test_the_docker_sdk_works_without_guessing_encodings():
    out = _python(
        "import sys, warnings; warnings.simplefilter('error')\n"
        "from reconciler.core.lean import import_without, share_one_heap\n"
        "share_one_heap(); import_without('requests', 'charset_normalizer')\n"
        "import docker, requests\n"
        "answer = requests.Response(); answer._content = chr(233).encode()\n"
        "print(answer.text == chr(233), 'charset_normalizer' in sys.modules)"
    )
    assert out.split() == ["True", "False"]


_HOLED = """
import asyncio, sys
from pathlib import Path
from reconciler.core import lean

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

async def main():
    lean._START_IS_OVER = lean._GIVE_BACK_EVERY = 0.01
    held = [bytes(3000) for _ in range(20_000)]
    lasting = bytes(3000)  # at the heap's end
    held.clear()
    before, task = resident(), asyncio.create_task(lean.give_back())
    async with asyncio.timeout(10):
        while before - resident() < 20 << 20:
            await asyncio.sleep(0.01)
    task.cancel()
    print("given back")

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_what_is_free_within_the_heap_is_given_back():
    assert _python(_HOLED).split() == ["given", "back"]


_NEEDLESS = (
    "rich attr charset_normalizer cryptography pyroute2 opentelemetry smtplib git watchfiles"
)
"""What a daemon loads at most when it first needs it: each costs 1 to 8 MB."""


def test_the_daemon_loads_nothing_that_it_may_never_need():
    out = _python(
        "import sys; from reconciler.cli import main\n"
        "try: main.main(['run', '--run-dir', '/proc/none', '--state-dir', '/proc/none'])\n"
        "except BaseException: pass\n"
        "print('reconciler.app' in sys.modules)\n"
        f"print([name for name in {_NEEDLESS.split()} if name in sys.modules])"
    )
    assert out.splitlines()[-2:] == ["True", "[]"]
