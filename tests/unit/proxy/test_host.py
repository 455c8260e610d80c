"""The small pieces that touch the host, without the host."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.proxy import nft
from reconciler.proxy.bridge import let_loopback_out
from reconciler.proxy.conntrack import Flow, is_stale, parse_flow
from reconciler.proxy.nft import Nft, NftError, NftUnavailable


def test_loopback_is_let_out_once_and_a_missing_bridge_waits(tmp_path: Path) -> None:
    assert not let_loopback_out("reconciler0", tmp_path)
    switch = tmp_path / "reconciler0" / "route_localnet"
    switch.parent.mkdir()
    switch.write_text("0\n")
    assert let_loopback_out("reconciler0", tmp_path)
    assert switch.read_text() == "1"
    assert not let_loopback_out("reconciler0", tmp_path)


def test_a_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(NftUnavailable, match=r"libnftables\.so\.1 not found: install nftables"):
        Nft()


def test_a_missing_right_is_told_from_a_refused_change() -> None:
    denied = nft._error("netlink: Error: cache init failed: Operation not permitted\n", "x")
    assert isinstance(denied, NftUnavailable)
    assert "CAP_NET_ADMIN" in str(denied)
    refused = nft._error("add element\nError: Could not process rule: File exists\n", "x")
    assert isinstance(refused, NftError)
    assert "File exists" in str(refused)


POOLS = {"10.96.0.20 . udp . 53": frozenset({"10.244.0.6 . 53"}), "udp . 30053": frozenset()}


@pytest.mark.parametrize(
    ("flow", "stale"),
    [
        (Flow("udp", "10.96.0.20", 53, "10.244.0.6 . 53", b""), False),
        (Flow("udp", "10.96.0.20", 53, "10.244.0.7 . 53", b""), True),
        (Flow("udp", "192.168.1.5", 30053, "10.244.0.6 . 53", b""), True),
        (Flow("udp", "10.96.0.21", 53, "10.244.0.7 . 53", b""), False),
    ],
)
def test_only_flows_of_known_frontends_to_departed_backends_are_stale(
    flow: Flow, stale: bool
) -> None:
    assert is_stale(flow, POOLS) is stale


@given(st.binary(max_size=100))
def test_no_message_breaks_the_flow_parser(data: bytes) -> None:
    assert parse_flow(data) is None
