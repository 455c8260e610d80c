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


def test_the_daemon_never_loads_rich():
    out = _python(
        "import sys; from reconciler.cli import main\n"
        "try: main.main(['run', '--run-dir', '/proc/none', '--state-dir', '/proc/none'])\n"
        "except BaseException: pass\n"
        "print('reconciler.app' in sys.modules, 'rich' in sys.modules, 'attr' in sys.modules)"
    )
    assert out.splitlines()[-1] == "True False False"
