"""Where the launcher is inside a container that has secret variables, and how it is called. Pure.

The launcher (the sandbox's program) reads the variables from a file on tmpfs and becomes the
command, which is in the file too where it holds a secret; `podspec.py` puts it in front of the
container's own, `labels.py` in front of probes and hooks that run inside.
"""

from __future__ import annotations

PROGRAM = "/.reconciler/launch"
ENVIRONMENT = "/.reconciler/environment"
ENTRYPOINT = (PROGRAM, "launch", ENVIRONMENT)


def content(variables: bytes, command: tuple[str, ...]) -> bytes:
    """Return the launcher's file: the variables, an empty string, and the words of a command.

    Each ends with a zero byte. Without a command the launcher takes the one it is called with.
    """
    if not command:
        return variables
    return variables + b"\0" + b"".join(word.encode() + b"\0" for word in command)
