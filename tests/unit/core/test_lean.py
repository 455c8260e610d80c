from __future__ import annotations

import subprocess
import sys


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
