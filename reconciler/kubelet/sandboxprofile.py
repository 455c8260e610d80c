"""What a sandbox's program may ask of the kernel: a seccomp profile of its own. Pure.

Called by `podspec.py`. The program waits for signals and needs six system calls; the others are
those that a runtime makes between loading the profile and becoming the program. The engine's
default profile allows some three hundred and fifty and takes the runtime 20 ms of processor time
to translate, a quarter of a container's start; this one takes next to nothing.
"""

from __future__ import annotations

import json

_ENOSYS = 38
_PROGRAM = (
    "execve",
    "exit",
    "exit_group",
    "rt_sigprocmask",
    "rt_sigtimedwait",
    "wait4",
)
# runc 1.1 tells its parent that all is ready and closes what it still holds; crun's words for it.
_HAND_OVER = (
    "close",
    "close_range",
    "faccessat",
    "faccessat2",
    "fcntl",
    "fstat",
    "fstatfs",
    "getdents64",
    "lseek",
    "newfstatat",
    "openat",
    "openat2",
    "pread64",
    "read",
    "readlinkat",
    "recvmsg",
    "sendmsg",
    "statfs",
    "statx",
    "write",
)
# What Go's own threads do meanwhile: memory, timers, threads, signals.
_GO = (
    "brk",
    "clock_gettime",
    "clock_nanosleep",
    "clone",
    "clone3",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_wait",
    "eventfd2",
    "futex",
    "getpid",
    "getrandom",
    "gettid",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "nanosleep",
    "pipe2",
    "prctl",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
    "tgkill",
    "timer_create",
    "timer_delete",
    "timer_settime",
    "waitid",
)

PROFILE = json.dumps(
    {
        "defaultAction": "SCMP_ACT_ERRNO",
        # As a kernel that is older than the call: a runtime then does it the former way.
        "defaultErrnoRet": _ENOSYS,
        "syscalls": [{"names": [*_PROGRAM, *_HAND_OVER, *_GO], "action": "SCMP_ACT_ALLOW"}],
    },
    separators=(",", ":"),
)
"""The profile as Docker's `seccomp=` takes it, for this host's own architecture."""
