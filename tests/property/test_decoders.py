"""Any bytes at all are read or refused: never a crash, a hang, or memory without bound.

`make fuzz` feeds the same targets for as long as one likes, led by coverage.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

_BOUND = 64e6  # bytes, for an input of at most 256 KB


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A seed with pieces cut out, doubled, or overwritten."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 20)))
        piece = draw(st.binary(max_size=8) | st.just(data[at:end] * 2))
        data = data[:at] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_bytes_are_read_or_refused(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    target.run(data.draw(st.binary(max_size=300) | mutated(target.seeds)))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 200_000, id="brackets"),
        pytest.param(b'{"a":' * 50_000, id="objects"),
        pytest.param(b"- " * 100_000, id="sequences"),
        pytest.param(b"a: &a [*a]\n" * 20_000, id="aliases"),
        pytest.param(
            b"a: &a [x,x,x,x,x,x,x,x]\n"
            + b"".join(
                b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9))
                for n in range(12)
            ),
            id="laughs",
        ),
        pytest.param(b"9" * 200_000, id="digits"),
        pytest.param(b"1e999999999", id="exponent"),
        pytest.param(b'"' + b"\\ud800" * 40_000 + b'"', id="surrogates"),
        pytest.param(b"a," * 100_000, id="selectors"),
        pytest.param(b"\x0a" * 200_000, id="messages"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 40_000, id="headers"),
        pytest.param(
            b"[%s]" % b",".join([b'{"op":"copy","from":"","path":"/a"}'] * 40),
            id="copies",
        ),
    ],
)  # fmt: skip
def test_what_grows_is_bounded(name: str, data: bytes) -> None:
    tracemalloc.start()
    try:
        TARGETS[name].run(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < _BOUND
