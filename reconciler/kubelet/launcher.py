"""Where the launcher is inside a container that has secret variables, and how it is called. Pure.

The launcher (the sandbox's program) reads the variables from a file on tmpfs and becomes the
command; `podspec.py` puts it in front of the container's own, `labels.py` in front of probes and
hooks that run inside.
"""

from __future__ import annotations

PROGRAM = "/.reconciler/launch"
ENVIRONMENT = "/.reconciler/environment"
ENTRYPOINT = (PROGRAM, "launch", ENVIRONMENT)
