"""The shared cases, walked by virtual packets through the very text that the kernel gets."""

from __future__ import annotations

import pytest

from reconciler.proxy import commands
from reconciler.proxy.rules import BALANCED as BALANCED_SET
from reconciler.proxy.rules import Element, balanced_addresses, compile_service
from reconciler.proxy.ruleset import Owner, RuleSet
from reconciler.proxy.skeleton import Network
from tests.unit.proxy.cases import BALANCED, BRIDGE, CASES, HOST, SERVERS, Call, Case
from tests.unit.proxy.trace import Fate, Packet, Table

TRIES = 150
LOCAL = ("127.0.0.1", HOST, BRIDGE, "10.96.0.10", BALANCED)
INTERFACES = {"host": "", "outside": "eth0"}
REFUSALS = {"reset": "refused", "unreachable": "refused", "drop": "silent"}


def table(case: Case) -> Table:
    rules = RuleSet()
    rules.put(Owner("", "shop", "web"), compile_service(case.service, case.slices, case.node))
    held = tuple(Element(BALANCED_SET, each) for each in balanced_addresses(case.service))
    rules.put(Owner("", "", "", "LoadBalancer"), held)
    kernel = Table(local=LOCAL)
    kernel.load(commands.fresh(Network(), rules.everything()))
    return kernel


def answer(kernel: Table, fate: Fate) -> tuple[str, str]:
    """Say who answered, and which address it saw."""
    packet = fate.packet
    if fate.verdict != "accept":
        return REFUSALS[fate.verdict], ""
    if packet.masqueraded:
        leaves = {"reconciler0": BRIDGE, "eth0": HOST, "lo": packet.source}
        return SERVERS[packet.destination], leaves[kernel.leaves(packet)]
    return SERVERS[packet.destination], packet.source


def calls(kernel: Table, call: Call) -> list[tuple[str, str]]:
    enters = INTERFACES.get(call.who, "reconciler0")
    packet = Packet(call.source, call.address, call.protocol, call.port, enters=enters)
    return [answer(kernel, kernel.send(packet)) for _ in range(TRIES)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_who_answers(case: Case) -> None:
    kernel = table(case)
    for call in case.calls:
        answers = calls(kernel, call)
        found = {who for who, _ in answers}
        assert (len(found) == 1 and found <= call.answers) if call.stays else found == call.answers
        assert not call.seen or {seen for _, seen in answers} == {call.seen}, call
