"""A parser as the fuzzers see it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Target(NamedTuple):
    """`run` takes any bytes and returns; `seeds` are inputs that it understands."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
