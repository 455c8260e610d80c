"""Every kubectl of this machine: the one on PATH, and the versions that lie beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

_VERSIONED = re.compile(r"kubectl\.?\d+\.\d+")


def kubectls() -> list[str]:
    """Return the paths by version; the plain one alone where no versions lie beside it."""
    plain = shutil.which("kubectl")
    if plain is None:
        return []
    found: dict[str, str] = {}
    for folder in (Path(plain).parent, Path(plain).resolve().parent):
        for path in sorted(folder.glob("kubectl*")):
            if _VERSIONED.fullmatch(path.name) and os.access(path, os.X_OK):
                found.setdefault(path.name, str(path))
    return list(found.values()) or [plain]


class Kubectl:
    """One kubectl in a namespace."""

    def __init__(self, program: str, config: Path, namespace: str) -> None:
        self.namespace = namespace
        self.config = config
        self.command = [program, "--kubeconfig", str(config), "-n", namespace]
        self.environment = {**os.environ, "HOME": str(config.parent / "home" / namespace)}

    @property
    def minor(self) -> int:
        """The minor version of the client: 31 of 1.31.4."""
        told = json.loads(self("version", "--client", "-o", "json"))
        return int(told["clientVersion"]["minor"].rstrip("+"))

    def __call__(self, *arguments: str, given: Any = None, fails: bool = False) -> str:
        done = self.run(*arguments, text=json.dumps(given) if given is not None else None)
        assert bool(done.returncode) == fails, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            input=text,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
        )
