"""Which version of its API is spoken with an engine. Used by all that speak to its socket.

Everything here needs what Docker 20.10 has (API 1.41), and Docker 29 refuses all below 1.44. So it
begins with the oldest, and an engine that refuses that names what it takes, which is then spoken;
so also when the engine is replaced by a newer or older one meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_BEGIN = "1.41"
_TAKEN = re.compile(r"client version (\S+) is too \w+\. \w+ supported API version is (\d+\.\d+)")


class ApiVersion:
    """The version that is spoken with one engine: `text` is like "1.41"."""

    def __init__(self) -> None:
        self.text = _BEGIN

    def learn(self, refusal: str) -> bool:
        """Take over what an engine names in its refusal; tell whether to make the call again.

        Nothing of a refused call has happened. Another call may have learned it meanwhile.
        """
        found = _TAKEN.search(refusal)
        if found is None:
            return False
        spoken, taken = found.groups()
        if spoken == self.text:
            self.text = taken
        return self.text != spoken

    async def spoken(self, call: Callable[[], Awaitable[T]], refusal: type[Exception]) -> T:
        """Return what `call` does, made again when its `refusal` names another version."""
        try:
            return await call()
        except refusal as error:
            if not self.learn(str(error)):
                raise
        return await call()
