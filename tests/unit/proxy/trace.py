"""A virtual packet that walks the very commands the kernel would get.

`Table.load` reads the text of `commands.py`; `Table.send` walks a new connection's first packet
through every hook and tells what becomes of it. Only the matches and statements that our rules
use are understood; anything else is an error, so that a new rule cannot go untested.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from random import Random

HOOKS = {
    "prerouting": ("guard", "prerouting"),
    "output": ("output", "local"),
    "forward": ("forward",),
    "input": ("input", "arrival"),
    "postrouting": ("postrouting",),
}
_ENDS = {
    "drop": "drop",
    "reject with tcp reset": "reset",
    "reject with icmp type port-unreachable": "unreachable",
}
_COMMAND = re.compile(r"^(add|delete|flush) (\w+) ip reconciler ?(\S*) ?(.*)$")


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection, or what `refuses` it.

    `enters` is empty for one that this host sends.
    """

    source: str
    destination: str
    protocol: str
    port: int
    enters: str = ""
    original: tuple[str, int] = ("", 0)
    translated: bool = False
    masqueraded: bool = False
    client_port: int = 40000
    refuses: bool = False


@dataclass(frozen=True)
class Fate:
    """`verdict` is accept, drop, reset or unreachable."""

    verdict: str
    packet: Packet


@dataclass
class Table:
    """The kernel's view of the table, as far as our commands reach."""

    local: tuple[str, ...] = ("127.0.0.1", "192.168.1.5", "10.244.0.1", "10.96.0.10")
    random: Random = field(default_factory=lambda: Random(1))
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)

    def load(self, commands: str) -> None:
        for line in commands.splitlines():
            found = _COMMAND.match(line)
            assert found, f"unknown command {line!r}"
            self._run(*found.groups())

    def send(self, packet: Packet) -> Fate:
        packet = replace(packet, original=(packet.destination, packet.port))
        for hook in ("prerouting",) if packet.enters else ("output",):
            verdict, packet = self._hook(hook, packet, "")
        if verdict == "accept" and packet.enters and packet.destination not in self.local:
            verdict, packet = self._hook("forward", packet, self.leaves(packet))
        if verdict == "accept" and packet.destination in self.local:
            verdict, packet = self._hook("input", packet, "")
        if verdict == "accept" and (not packet.enters or packet.destination not in self.local):
            verdict, packet = self._hook("postrouting", packet, self.leaves(packet))
        return Fate(verdict, packet)

    def refuse(self, packet: Packet) -> Fate:
        """Walk the answer of a backend that does not listen; `packet` is what came to it."""
        back = replace(
            packet,
            source=packet.destination,
            destination=packet.source,
            port=packet.client_port,
            enters="reconciler0",
            refuses=True,
        )
        hook = "forward" if packet.enters else "input"
        return Fate(*self._hook(hook, back, self.leaves(back)))

    def leaves(self, packet: Packet) -> str:
        if packet.destination in self.local:
            return "lo"
        address = ip_address(packet.destination)
        ours = (ip_network("10.244.0.0/24"), ip_network("10.96.0.0/16"))
        return "reconciler0" if any(address in network for network in ours) else "eth0"

    def _run(self, verb: str, kind: str, name: str, rest: str) -> None:
        match verb, kind:
            case "add", "table":
                pass
            case "delete", "table":
                self.maps.clear()
                self.chains.clear()
            case "add", "map" | "set":
                self.maps.setdefault(name, {})
            case "add", "chain":
                self.chains.setdefault(name, [])
            case "add", "rule":
                self.chains[name].append(rest)
            case "flush", "map" | "set":
                self.maps[name].clear()
            case "flush", "chain":
                self.chains[name].clear()
            case "delete", "chain":
                assert not self._refers_to(name), f"chain {name} is in use"
                del self.chains[name]
            case "add" | "delete", "element":
                self._change(verb, name, rest.strip("{} ").split(", "))
            case _:
                raise AssertionError(f"unknown command {verb} {kind}")

    def _refers_to(self, chain: str) -> bool:
        verdict = f"goto {chain}"
        values = (value for elements in self.maps.values() for value in elements.values())
        return verdict in values or any(verdict in rules for rules in self.chains.values())

    def _change(self, verb: str, name: str, elements: Sequence[str]) -> None:
        for element in elements:
            key, _, value = element.partition(" : ")
            if verb == "delete":
                del self.maps[name][key]
                continue
            assert key not in self.maps[name], f"{name} has {key} already"
            assert not value.startswith("goto ") or value[5:] in self.chains
            self.maps[name][key] = value

    def _hook(self, hook: str, packet: Packet, leaves: str) -> tuple[str, Packet]:
        for chain in HOOKS[hook]:
            verdict, packet = self._chain(chain, packet, leaves)
            if verdict in ("drop", "reset", "unreachable"):
                return verdict, packet
        return "accept", packet

    def _chain(self, chain: str, packet: Packet, leaves: str) -> tuple[str, Packet]:
        for rule in self.chains[chain]:
            verdict, packet = self._rule(rule, packet, leaves)
            if verdict:
                return verdict, packet
        return "", packet

    def _rule(self, rule: str, packet: Packet, leaves: str) -> tuple[str, Packet]:
        tail = self._match(rule, packet, leaves)
        if tail is None:
            return "", packet
        return self._statement(tail, packet, leaves)

    def _match(self, rule: str, packet: Packet, leaves: str) -> str | None:
        """Return the rest of the rule after its matches; None when one does not hold."""
        while True:
            for pattern, holds in _MATCHES:
                found = re.match(pattern + r" (?=\S)", rule)
                if found:
                    if not holds(self, packet, leaves, *found.groups()):
                        return None
                    rule = rule[found.end() :]
                    break
            else:
                return rule

    def _statement(self, text: str, packet: Packet, leaves: str) -> tuple[str, Packet]:
        if text in _ENDS:
            return _ENDS[text], packet
        if text == "masquerade":
            return "accept", replace(packet, masqueraded=True)
        if found := re.fullmatch(r"(goto|jump) (\S+)", text):
            verdict, packet = self._chain(found[2], packet, leaves)
            return verdict or ("accept" if found[1] == "goto" else ""), packet
        if found := re.fullmatch(r"(.+) vmap @(\S+)", text):
            verdict = self.maps[found[2]].get(self._key(found[1], packet))
            return self._statement(verdict, packet, leaves) if verdict else ("", packet)
        if found := re.fullmatch(r"dnat ip to (.+) map @(\S+)", text):
            return self._translate(self.maps[found[2]].get(self._key(found[1], packet)), packet)
        if text.startswith("update "):
            return self._learn(text, packet)
        raise AssertionError(f"unknown statement {text!r}")

    def _learn(self, text: str, packet: Packet) -> tuple[str, Packet]:
        if found := re.fullmatch(r"update @affinity \{ (.+) timeout \d+s : (.+) \}", text):
            key, value = (self._key(part, packet) for part in found.groups())
            self.maps["affinity"].setdefault(key, value)
            return "", packet
        found = re.fullmatch(r"update @(\w+) \{ (.+?) \}( drop)?", text)
        assert found, f"unknown statement {text!r}"
        self.maps[found[1]][self._key(found[2], packet)] = ""
        return "drop" if found[3] else "", packet

    def _translate(self, backend: str | None, packet: Packet) -> tuple[str, Packet]:
        if backend is None:
            return "", packet
        address, port = backend.split(" . ")
        return "accept", replace(packet, destination=address, port=int(port), translated=True)

    def _key(self, expression: str, packet: Packet) -> str:
        return " . ".join(self._field(part, packet) for part in expression.split(" . "))

    def _field(self, name: str, packet: Packet) -> str:
        if found := re.fullmatch(r"numgen random mod (\d+)(?: offset (\d+))?", name):
            return str(self.random.randrange(int(found[1])) + int(found[2] or 0))
        if name == "numgen inc mod 1 offset 1":
            return "1"
        return {
            "ip saddr": packet.source,
            "ip daddr": packet.destination,
            "meta l4proto": packet.protocol,
            "th dport": str(packet.port),
            "ct original ip saddr": packet.destination if packet.refuses else packet.source,
            "ct original proto-src": str(packet.client_port),
            "ct original ip daddr": packet.original[0],
            "ct original proto-dst": str(packet.original[1]),
        }[name]


def _within(address: str, network: str) -> bool:
    return ip_address(address) in ip_network(network)


_MATCHES = (
    (r"meta l4proto (tcp|udp|sctp)", lambda t, p, o, name: p.protocol == name),
    (r"ip saddr (\S+/\d+)", lambda t, p, o, net: _within(p.source, net)),
    (r"ip daddr (\S+/\d+)", lambda t, p, o, net: _within(p.destination, net)),
    (r"ip daddr != (\S+/\d+)", lambda t, p, o, net: not _within(p.destination, net)),
    (
        r"ip daddr \{ ([^}]+) \}",
        lambda t, p, o, nets: any(_within(p.destination, net) for net in nets.split(", ")),
    ),
    (r'iifname "(\w+)"', lambda t, p, o, name: p.enters == name),
    (r'oifname "(\w+)"', lambda t, p, o, name: o == name),
    (r'oifname != \{ "(\w+)", "(\w+)" \}', lambda t, p, o, *names: o not in names),
    (r"fib saddr type local", lambda t, p, o: p.source in t.local),
    (r"fib daddr type local", lambda t, p, o: p.destination in t.local),
    (r"fib daddr type != local", lambda t, p, o: p.destination not in t.local),
    (r"ct state new", lambda t, p, o: not p.refuses),
    (r"ct state invalid", lambda t, p, o: False),
    (r"ct status dnat", lambda t, p, o: p.translated),
    (r"tcp flags == rst\|ack tcp sequence 0", lambda t, p, o: p.refuses),
    (r"ct direction reply", lambda t, p, o: p.refuses),
    (
        r"(ct original .+?) != @(\S+)",
        lambda t, p, o, key, name: t._key(key, p) not in t.maps[name],
    ),
    (
        r"((?:ct original ip daddr \. )?meta l4proto \. ct original proto-dst \. numgen .+) @(\S+)",
        lambda t, p, o, key, name: t._key(key, p) in t.maps[name],
    ),
    (r"ip daddr @(\S+)", lambda t, p, o, name: p.destination in t.maps[name]),
    (
        r"(ip daddr \. meta l4proto \. th dport) \. ip saddr != @sources",
        lambda t, p, o, key: (
            not any(
                head == t._key(key, p) and _within(p.source, tail)
                for head, _, tail in (e.rpartition(" . ") for e in t.maps["sources"])
            )
        ),
    ),
    (
        r"(ip saddr \. ip daddr|ip daddr \. meta l4proto \. ct original proto-dst) @(\S+)",
        lambda t, p, o, key, name: t._key(key, p) in t.maps[name],
    ),
)
