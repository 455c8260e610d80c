"""What of ours is on this host: containers, networks, volumes, rules, links, mounts, files.

Called by the demo and by the integration tests after `reconciler down`, to prove that nothing is
left behind. It asks the host's own tools and none of the program's code, so that it cannot share
a fault with it. It only looks.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_LINK_PREFIX = "rec"  # the bridge reconciler0 and the pods' veth pairs
_NAME = "reconciler"
_POD_LABEL = "io.kubernetes.docker.type"


def find_leftovers(directories: Sequence[Path]) -> list[str]:
    """Return a line for each thing of ours on this host, sorted; an empty list means clean.

    `directories` are the daemon's state and run directories, and any other of its files.
    """
    return sorted(
        [
            *(f"container {line}" for line in _containers()),
            *(f"network {line}" for line in _docker("network", "ls", "--format", "{{.Name}}")),
            *(f"volume {line}" for line in _docker("volume", "ls", "--format", "{{.Name}}")),
            *(f"nftables {line}" for line in _tables()),
            *(f"link {line}" for line in _links()),
            *(f"iptables rule {line}" for line in _forwarding_rules()),
            *(f"mount {line}" for line in _mounts(directories)),
            *(f"process {line}" for line in _processes()),
            *(f"file {path}" for path in directories if path.exists()),
        ]
    )


def _lines(*command: str) -> list[str]:
    """Return the command's output by line, nothing when it fails (no such table, no such chain)."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def _containers() -> list[str]:
    return _lines(
        "docker", "ps", "--all", "--filter", f"label={_POD_LABEL}", "--format", "{{.Names}}"
    )


def _docker(*arguments: str) -> list[str]:
    return [line for line in _lines("docker", *arguments) if _NAME in line]


def _tables() -> list[str]:
    return [line for line in _lines("nft", "list", "tables") if line.endswith(f" {_NAME}")]


def _links() -> list[str]:
    # Index, name and flags; the name of a veth is followed by its peer.
    names = (line.split(": ")[1].split("@")[0] for line in _lines("ip", "-oneline", "link"))
    return [name for name in names if name.startswith(_LINK_PREFIX)]


def _forwarding_rules() -> list[str]:
    rules = _lines("iptables", "--wait", "-S", "DOCKER-USER")
    return [line for line in rules if f"{_NAME}0" in line]


def _mounts(directories: Iterable[Path]) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        target = Path(line.split()[4])
        if any(target.is_relative_to(directory) for directory in directories):
            yield str(target)


def _processes() -> Iterator[str]:
    """Yield the daemons that run: an interpreter whose script is `reconciler`, told to `run`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if "run" in arguments and any(Path(each).name == _NAME for each in arguments[:2]):
            yield f"{folder.name}: {' '.join(arguments).strip()}"
