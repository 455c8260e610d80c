"""A write that the registry refuses, and what it says then."""

from typing import Any

import pytest

from reconciler.apiserver.registry.errors import StatusError


def refuses(virtual: Any, write: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        virtual.run_until_complete(write)
    return caught.value
