from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps").exists(), reason="needs the mappings as Linux tells them"
)

# In a process of its own: how much of a library is mapped is a matter of the whole process.
_MAPPED = """
import ctypes, mmap, os, sqlite3, ssl, tempfile
from reconciler.core.libraries import Libraries

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
file = tempfile.TemporaryFile()
file.write(b"as in the file" + bytes(mmap.PAGESIZE))
file.flush()

def mapped(text=b""):
    begin = libc.mmap(None, mmap.PAGESIZE, 3, 2, file.fileno(), 0)  # to be written, private
    if text:
        ctypes.memmove(begin, text, len(text))
    libc.mprotect(begin, mmap.PAGESIZE, 1)
    assert ctypes.string_at(begin)
    return begin

def resident(kind):
    for line in open("/proc/self/status"):
        if line.startswith(kind):
            return int(line.split()[1])

def pages(begin):
    with open("/proc/self/pagemap", "rb") as pagemap:
        pagemap.seek(begin // mmap.PAGESIZE * 8)
        return int.from_bytes(pagemap.read(8), "little") >> 63
"""


def _tell(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _MAPPED + program], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_most_of_what_the_libraries_have_mapped_goes_and_all_of_them_work_on() -> None:
    told = _tell(
        "libraries, before = Libraries(), resident('RssFile')\n"
        "libraries.unmap_pages()\n"
        "print(resident('RssFile') < before * 2 / 3)\n"
        "ssl.create_default_context()\n"
        "print(sqlite3.connect(':memory:').execute('select 6 * 7').fetchone())\n"
    )
    assert told.splitlines() == ["True", "(42,)"]


def test_what_was_written_stays() -> None:
    told = _tell(
        "clean, written = mapped(), mapped(b'put right afterwards')\n"
        "Libraries().unmap_pages()\n"
        "print(pages(clean), pages(written))\n"
        "print(ctypes.string_at(clean), ctypes.string_at(written))\n"
    )
    assert told.splitlines() == ["0 1", "b'as in the file' b'put right afterwards'"]


def test_what_may_be_loaded_just_now_is_left_until_the_next_time() -> None:
    told = _tell(
        "libraries, begin = Libraries(), mapped()\n"
        "libraries.unmap_pages()\n"
        "first = pages(begin)\n"
        "libraries.unmap_pages()\n"
        "print(first, pages(begin))\n"
    )
    assert told == "1 0"
