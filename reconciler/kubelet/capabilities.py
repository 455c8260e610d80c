"""Which rights of the kernel the daemon lacks, and what does not work for want of them. Pure.

Called by the composition root, which reads /proc/self/status; the kubelet says each at its start.
Kernel names and bits as in linux/capability.h.
"""

from __future__ import annotations

from collections.abc import Iterator

SYS_RESOURCE = 24

_NEEDED = {
    12: ("CAP_NET_ADMIN", "pods get no network and services no rules"),
    21: ("CAP_SYS_ADMIN", "a pod's network namespace cannot be entered and no volume mounted"),
    19: ("CAP_SYS_PTRACE", "a pod's network namespace cannot be found by its process"),
    10: ("CAP_NET_BIND_SERVICE", "the cluster DNS cannot listen on port 53"),
    0: ("CAP_CHOWN", "a volume cannot be given the owner that a pod asks for"),
    1: ("CAP_DAC_OVERRIDE", "what a pod closed to others in its volumes cannot be removed"),
    3: ("CAP_FOWNER", "files of others in a volume cannot be opened to a pod's fsGroup"),
    4: ("CAP_FSETID", "new files in a volume do not get the pod's fsGroup"),
}


def shortfalls(effective: int, bounding: int) -> Iterator[str]:
    """Yield a sentence for each right that is not there; both arguments are bit sets."""
    for bit, (name, without) in _NEEDED.items():
        if not effective >> bit & 1:
            yield f"{name} is missing: {without}"
    if not bounding >> SYS_RESOURCE & 1:
        yield "CAP_SYS_RESOURCE is missing: an oom_score_adj below 0 becomes 0"
