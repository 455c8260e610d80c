"""libnftables, kept open in the process. The only importer of the library; `table.py` calls it.

A context remembers the network namespace of the thread that opened it, and must not be used by
two threads at a time. Calls block (ctypes lets other threads run meanwhile): keep them off the
event loop.
"""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Self

from reconciler.core.errors import ReconcilerError

_LIBRARY = "libnftables.so.1"

# enum nft_output_flags of nftables/libnftables.h
_HANDLE = 1 << 3
_JSON = 1 << 4
_TERSE = 1 << 11


class NftUnavailable(ReconcilerError):
    """This host or this process cannot use nftables; the message names what is missing."""


class NftError(ReconcilerError):
    """The kernel or libnftables refused the commands; nothing of them happened."""


class Nft:
    """One libnftables context. Raises `NftUnavailable` when there is no library."""

    def __init__(self) -> None:
        self._library = _load()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        if not self._context:
            raise NftUnavailable(f"{_LIBRARY} could not open a netlink socket: {RIGHTS}")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the context; the kernel's rules stay."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = ctypes.c_void_p(None)

    def run(self, commands: str) -> None:
        """Carry out `commands` as one transaction. Raises `NftError`, `NftUnavailable`."""
        self._run(commands, 0)

    def list_rules(self, table: str) -> str:
        """Return the table's chains, rules and handles as text, without the maps' elements.

        Empty when there is no such table. Raises `NftUnavailable`.
        """
        return self._list(f"table {table}", _HANDLE | _TERSE)

    def list_json(self, what: str) -> str:
        """Return `what` ("map ip t name") as libnftables' JSON; empty when it is not there."""
        return self._list(what, _JSON)

    def _list(self, what: str, flags: int) -> str:
        try:
            return self._run(f"list {what}", flags)
        except NftError as error:
            if "No such file or directory" in str(error):
                return ""
            raise

    def _run(self, commands: str, flags: int) -> str:
        self._library.nft_ctx_output_set_flags(self._context, flags)
        status = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        failure: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if status:
            raise _error(failure.decode(errors="replace"), commands)
        return output.decode(errors="replace")


RIGHTS = "the capability CAP_NET_ADMIN and a kernel with nf_tables are needed"


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise NftUnavailable(
            f"{_LIBRARY} not found: install nftables (Debian's package libnftables1)"
        ) from error
    context = ctypes.c_void_p
    library.nft_ctx_new.restype = context
    library.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = (context,)
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = (context,)
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_ctx_output_set_flags.argtypes = (context, ctypes.c_uint)
    library.nft_run_cmd_from_buffer.argtypes = (context, ctypes.c_char_p)
    return library


def _error(failure: str, commands: str) -> ReconcilerError:
    """Tell a missing right or kernel feature from a refused change; shorten what it quotes."""
    first = next((line for line in failure.splitlines() if "Error:" in line), failure.strip())
    if "Operation not permitted" in failure:
        return NftUnavailable(f"nftables: operation not permitted: {RIGHTS}")
    if "Protocol not supported" in failure or "Operation not supported" in failure:
        return NftUnavailable(f"nftables: {first[:300]}: {RIGHTS}")
    return NftError(f"nftables refused {len(commands)} bytes of commands: {first[:300]}")
