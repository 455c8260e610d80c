"""The table's fixed part: maps, chains and the rules that walk a packet through them. Pure text.

`commands.py` sends it to the kernel; the unit tests' virtual packets walk the same text.

A new connection meets, in this order (an established one is translated by the kernel's connection
tracking and meets the filters of 1 and 3 only, whose first match is the cheapest that fails):

1. `guard` (raw): a packet from a pod that claims a loopback address is dropped. The bridge has
   `route_localnet`, which node ports on 127.0.0.1 need; without this rule a pod could reach the
   host's own loopback services (CVE-2020-8558).
2. `prerouting`, `output` (nat, just before Docker's): the services map, then, for local
   addresses, the node port map, each one lookup. Their verdicts are `spread-tcp-n`,
   `sticky-tcp-n`, `refuse`, `discard`, or `divided`, where pods and the host are served otherwise
   than outsiders.
3. `forward`, `local`, `input`: what is still addressed to the service range, or to a load
   balancer's address that is on this host for services alone, has no service: refused.
4. `arrival`, `postrouting` (nat): for a service with client affinity, the (client, frontend) pair
   is recorded with the backend that was drawn, and its time-out starts again.
5. `refusal`: what a backend that does not listen answers, as of one that has just died, is
   withheld, where the frontend has other backends. To connection tracking that connection was
   none: when the client's TCP asks again, a second after its first try, another backend is drawn.
   When that one has just died too, the client asks once more. A refusal of the third try is the
   client's to hear; from then on, while clients go on to hear of that frontend, one of the second.
6. `postrouting`: the source is rewritten only where the answer would otherwise miss this host: a
   pod that reaches itself, 127.0.0.1, a backend outside the pod network, and pods that leave the
   cluster.

No packet mark and no connection mark is read or written, so others' marks stay theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.proxy.rules import PROTOCOLS

TABLE = "ip reconciler"
BRIDGE = "reconciler0"
AFFINITY = "affinity"

# The slot has numgen's own type, which only typeof can name. A map per protocol, because
# libnftables 1.0 cannot read a value of `th dport` back, and adds a match for that of `tcp dport`.
_SLOT = "meta l4proto . th dport . numgen random mod 65536 : ip daddr"
_CLIENT = "type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service"
_TRIED = "type ipv4_addr . inet_service . ipv4_addr . inet_service; timeout 5s"
_CALLED = "type ipv4_addr . inet_service; timeout 1m"
_VERDICTS = "type ipv4_addr . inet_proto . inet_service : verdict;"
_SOURCES = "type ipv4_addr . inet_proto . inet_service . ipv4_addr"

_DEFINITIONS = (
    # A frontend's protocol and port, with the address for all but node ports.
    "add map ip reconciler services { type ipv4_addr . inet_proto . inet_service : verdict; }",
    "add map ip reconciler node-ports { type inet_proto . inet_service : verdict; }",
    *(f"add map ip reconciler {name} {{ {_VERDICTS} }}" for name in ("inside", "outside")),
    *(
        f"add map ip reconciler node-{name} {{ type inet_proto . inet_service : verdict; }}"
        for name in ("inside", "outside")
    ),
    *(
        f"add map ip reconciler {name}-{proto} {{ typeof {key}{_SLOT} . {proto} dport; }}"
        for name, key in (("endpoints", "ip daddr . "), ("node-endpoints", ""))
        for proto in PROTOCOLS
    ),
    "add set ip reconciler hairpin { type ipv4_addr . ipv4_addr; }",
    "add set ip reconciler remote { type ipv4_addr . inet_proto . inet_service; }",
    f"add set ip reconciler sources {{ {_SOURCES}; flags interval; }}",
    "add set ip reconciler balanced { type ipv4_addr; }",
    "add map ip reconciler sticky { type ipv4_addr . inet_proto . inet_service : verdict; }",
    "add map ip reconciler sticky-ports { type inet_proto . inet_service : verdict; }",
    # (client, frontend) -> backend, filled by the kernel itself
    f"add map ip reconciler affinity {{ {_CLIENT}; size 262144; flags dynamic,timeout; }}",
    # (client, frontend) of connections of which a refusal was withheld, or two; longer than TCP's
    # next tries
    *(
        f"add set ip reconciler {name} {{ {of}; size 65536; flags dynamic,timeout; }}"
        # the last: frontends of which a client has heard a refusal
        for name, of in (("tried", _TRIED), ("retried", _TRIED), ("failing", _CALLED))
    ),
)

_CHAINS = {
    "guard": "type filter hook prerouting priority raw;",
    "prerouting": "type nat hook prerouting priority dstnat - 10;",
    "output": "type nat hook output priority -110;",
    "forward": "type filter hook forward priority filter - 10;",
    "local": "type filter hook output priority filter - 10;",
    "input": "type filter hook input priority filter - 10;",
    "arrival": "type nat hook input priority 90;",
    "postrouting": "type nat hook postrouting priority srcnat - 10;",
    "frontends": "",
    "frontend-ports": "",
    "divided": "",
    "node-divided": "",
    "affine": "",
    "refuse": "",
    "discard": "",
    "refusal": "",
    "next-try": "",
}

# connection tracking names a port only for a protocol that the rule has settled
_FRONTEND = "ct original ip daddr . meta l4proto . ct original proto-dst"
_FRONTEND_PORT = "meta l4proto . ct original proto-dst"
_DIALLED = "ct original ip daddr . ct original proto-dst"
_CONNECTION = f"ct original ip saddr . ct original proto-src . {_DIALLED}"
_ONE = "numgen inc mod 1 offset 1"  # a constant has no place in a look-up


@dataclass(frozen=True, slots=True)
class Network:
    """The address ranges that the fixed rules name, as CIDR text.

    `pod_cidr` holds this node's pods, `cluster_cidr` all nodes' pods, `service_cidr` the services'
    cluster addresses. `node_port_addresses` are the local ranges on which node ports answer; empty
    means every local address (kube-proxy's --nodeport-addresses).
    """

    pod_cidr: str = "10.244.0.0/24"
    cluster_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    node_port_addresses: tuple[str, ...] = ()


def definitions() -> tuple[str, ...]:
    """Return the commands that make every map, set and chain; each may be run again."""
    chains = (
        f"add chain {TABLE} {name} {{ {hook} policy accept; }}"
        if hook
        else f"add chain {TABLE} {name}"
        for name, hook in _CHAINS.items()
    )
    return (*_DEFINITIONS, *chains)


def fixed_chains() -> tuple[str, ...]:
    """Return the names of the chains that every table of ours has."""
    return tuple(_CHAINS)


def fixed_rules(network: Network) -> tuple[tuple[str, str], ...]:
    """Return (chain, rule) pairs in the order in which they are appended."""
    return (
        *_guard_rules(),
        *_service_rules(network),
        *_divided_rules(),
        *_affinity_rules(),
        *_stray_rules(network),
        *_refusal_rules(),
        *_source_rules(network),
        ("refuse", "meta l4proto tcp reject with tcp reset"),
        ("refuse", "reject with icmp type port-unreachable"),
        ("discard", "drop"),
    )


def _guard_rules() -> tuple[tuple[str, str], ...]:
    return (
        ("guard", f'ip daddr 127.0.0.0/8 iifname "{BRIDGE}" drop'),
        ("guard", f'ip saddr 127.0.0.0/8 iifname "{BRIDGE}" drop'),
    )


def _service_rules(network: Network) -> tuple[tuple[str, str], ...]:
    where = network.node_port_addresses
    local = f"ip daddr {{ {', '.join(where)} }} " if where else ""
    return (
        ("prerouting", "jump frontends"),
        ("output", "jump frontends"),
        ("frontends", "ip daddr . meta l4proto . th dport vmap @services"),
        ("frontends", f"{local}fib daddr type local goto frontend-ports"),
        ("frontend-ports", "meta l4proto . th dport vmap @node-ports"),
    )


def _divided_rules() -> Iterator[tuple[str, str]]:
    """Pods and the host first: a Local policy does not bind them (kube-proxy's short-circuit)."""
    for prefix, key in (("", "ip daddr . "), ("node-", "")):
        look = f"{key}meta l4proto . th dport vmap @{prefix}"
        yield f"{prefix}divided", f'iifname "{BRIDGE}" {look}inside'
        yield f"{prefix}divided", f"fib saddr type local {look}inside"
        yield f"{prefix}divided", f"{look}outside"


def _affinity_rules() -> tuple[tuple[str, str], ...]:
    original, ports = f"{_FRONTEND} vmap @sticky", f"{_FRONTEND_PORT} vmap @sticky-ports"
    return (
        # chains for translation see the first packet of a connection only: others pay nothing
        ("arrival", "ct status dnat jump affine"),
        ("postrouting", "ct status dnat jump affine"),
        *(("affine", f"meta l4proto {proto} {original}") for proto in PROTOCOLS),
        *(("affine", f"meta l4proto {proto} {ports}") for proto in PROTOCOLS),
    )


def _stray_rules(network: Network) -> tuple[tuple[str, str], ...]:
    stray = f"ip daddr {network.service_cidr} fib daddr type != local goto refuse"
    return (
        # an answer that connection tracking disowns would reach the client untranslated
        ("forward", f'ct state invalid iifname "{BRIDGE}" meta l4proto tcp drop'),
        ("forward", stray),
        ("local", stray),
        # an answer to the host's own call of such an address is no new connection
        *(
            ("input", f"ct state new ip daddr @balanced meta l4proto {proto} goto refuse")
            for proto in PROTOCOLS
        ),
    )


def _refusal_rules() -> Iterator[tuple[str, str]]:
    """No sequence number, because nothing was sent before: so TCP answers where nobody listens."""
    refused = "tcp flags == rst|ack tcp sequence 0 ct status dnat ct direction reply"
    for hook in ("forward", "input"):
        yield hook, f"{refused} jump refusal"
    for frontend, slots in ((_FRONTEND, "endpoints-tcp"), (_FRONTEND_PORT, "node-endpoints-tcp")):
        yield "refusal", f"meta l4proto tcp {frontend} . {_ONE} @{slots} goto next-try"
    for chosen, tries in (("", "tried"), (f"{_DIALLED} != @failing ", "retried")):
        untried = f"meta l4proto tcp {chosen}{_CONNECTION} != @{tries}"
        yield "next-try", f"{untried} update @{tries} {{ {_CONNECTION} }} drop"
    yield "next-try", f"meta l4proto tcp update @failing {{ {_DIALLED} }}"


def _source_rules(network: Network) -> tuple[tuple[str, str], ...]:
    """What most connections fail by comes first in each rule."""
    remote = "ip daddr . meta l4proto . ct original proto-dst @remote masquerade"
    outside = f'oifname != {{ "{BRIDGE}", "lo" }}'
    elsewhere = f"ip daddr != {network.pod_cidr}"
    return (
        ("postrouting", "ct status dnat ip saddr . ip daddr @hairpin masquerade"),
        ("postrouting", f'ip saddr 127.0.0.0/8 oifname "{BRIDGE}" masquerade'),
        (
            "postrouting",
            f"ip saddr {network.pod_cidr} ip daddr != {network.cluster_cidr} {outside} masquerade",
        ),
        *(
            ("postrouting", f"{elsewhere} meta l4proto {proto} ct status dnat {outside} {remote}")
            for proto in PROTOCOLS
        ),
    )


def chains_behind(verdict: str) -> tuple[str, ...]:
    """Return the chains made on demand that a verdict's chain needs, itself included."""
    if verdict in _CHAINS:
        return ()
    guard, _, guarded = verdict.partition("guarded-")
    if guarded:
        return (*chains_behind(f"{guard}{guarded}"), verdict)
    kind, _, rest = verdict.partition("sticky-")
    if rest:
        return (f"{kind}spread-{rest}", verdict)
    return (verdict,)


def chain_rules(chain: str) -> tuple[str, ...]:
    """Return the rules of a chain made on demand.

    `spread-tcp-n` draws one of n slots, `spread-tcp-n.k` those from slot k on; `sticky-tcp-n`
    first looks for the backend that the client had; `remember-s` keeps that backend for s seconds
    after the client's last new connection; `guarded-` before one of them lets only the frontend's
    `sources` through.
    """
    if chain.startswith("guarded-"):
        client = "ip daddr . meta l4proto . th dport . ip saddr"
        return (f"{client} != @sources drop", f"goto {chain.removeprefix('guarded-')}")
    kind, *protocol, number = chain.removeprefix("node-").split("-")
    node = "node-" if chain.startswith("node-") else ""
    if kind == "remember":
        return tuple(_remember(proto, number) for proto in PROTOCOLS)
    if kind == "sticky":
        affinity = "dnat ip to ip saddr . ip daddr . meta l4proto . th dport map @affinity"
        return (affinity, f"goto {node}spread-{protocol[0]}-{number}")
    size, _, first = number.partition(".")
    slot = f"numgen random mod {size}{f' offset {first}' if first else ''}"
    key = f"{'' if node else 'ip daddr . '}meta l4proto . th dport . {slot}"
    return (f"dnat ip to {key} map @{node}endpoints-{protocol[0]}",)


def _remember(protocol: str, seconds: str) -> str:
    return (
        f"meta l4proto {protocol} update @affinity {{ ip saddr . ct original ip daddr"
        f" . meta l4proto . ct original proto-dst timeout {seconds}s : ip daddr . th dport }}"
    )


def signature(network: Network) -> str:
    """Return the table's comment: equal when maps and fixed rules are the same."""
    text = "\n".join((*definitions(), *(f"{c} {r}" for c, r in fixed_rules(network))))
    return f"reconciler {hashlib.sha256(text.encode()).hexdigest()[:16]}"
