"""Decides whether a packet filter drops a packet, as far as its rules are understood. Pure.

Rule sets of nftables and iptables are parsed into one form, through which a packet is traced. A
match that is not understood (an ipset, a mark, a rate limit) is neither true nor false, and a
verdict that depends on it is not given. So "dropped" is certain, and "not dropped" is not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

from lvsctl.net import Family, IPAddress, family_of

Values = tuple[str | int | tuple[int, int], ...]
"""Names, networks as text, numbers, and inclusive ranges of numbers."""

PROTOCOLS: Mapping[str, int] = {
    "icmp": 1,
    "ipencap": 4,
    "ipip": 4,
    "tcp": 6,
    "udp": 17,
    "ipv6": 41,
    "gre": 47,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "sctp": 132,
}
"""Protocol names in the output of iptables and nft (/etc/protocols)."""


@dataclass(frozen=True, slots=True)
class Match:
    """A condition on a packet.

    Attributes:
        field: protocol, source, destination, in, out, dport or state; any other is not understood.
        values: The alternatives, one of which must match.
        negated: None of the values may match.
    """

    field: str
    values: Values
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        matches: All must match.
        verdict: accept, drop, return, jump or goto; empty to continue with the next rule; any other
            is not understood.
        target: The chain of a jump or goto.
        text: The rule as nft or iptables prints it.
    """

    matches: tuple[Match, ...]
    verdict: str
    target: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain.

    Attributes:
        rules: In order.
        hook: prerouting, input, forward, output or postrouting; empty for a regular chain.
        policy: The verdict on packets that reach the end.
    """

    rules: tuple[Rule, ...] = ()
    hook: str = ""
    policy: str = "accept"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of chains.

    Attributes:
        name: As nft or iptables names it.
        families: Address families of the packets it sees.
        chains: By name.
        remove: Command that deletes a rule; chain and rule are appended.
        allow: Command that accepts ``{protocol}`` in ``{chain}``.
    """

    name: str
    families: frozenset[Family]
    chains: Mapping[str, Chain] = field(default_factory=dict)
    remove: str = ""
    allow: str = ""


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a flow.

    Attributes:
        protocol: IP protocol number.
        source: Source address.
        destination: Destination address.
        dport: Destination port; 0 if the protocol has none.
        in_link: Incoming device; empty for locally generated packets.
        out_link: Outgoing device; empty for packets to this host.
    """

    protocol: int
    source: IPAddress
    destination: IPAddress
    dport: int = 0
    in_link: str = ""
    out_link: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """Where a packet is dropped: by a rule, or by the chain's policy if ``rule`` is None."""

    table: Table
    chain: str
    rule: Rule | None
    protocol: int

    def __str__(self) -> str:
        where = f"{self.table.name} {self.chain}"
        return f"{where}: {self.rule.text}" if self.rule else f"{where}: the policy is drop"

    @property
    def cure(self) -> str:
        """The command that lets the packet pass."""
        if self.rule is not None:
            return f"{self.table.remove} {self.chain} {self.rule.text}"
        return self.table.allow.format(chain=self.chain, protocol=self.protocol)


def dropped(tables: tuple[Table, ...], hooks: frozenset[str], packet: Packet) -> Drop | None:
    """Return where a packet is certainly dropped in one of the hooks, None if that is unknown."""
    for table in tables:
        if family_of(packet.destination) not in table.families:
            continue
        for name, chain in table.chains.items():
            if chain.hook in hooks:
                drop = _traverse(table, name, packet, frozenset())
                if isinstance(drop, Drop):
                    return drop
                if drop is None and chain.policy == "drop":
                    return Drop(table, name, None, packet.protocol)
    return None


def _traverse(table: Table, name: str, packet: Packet, above: frozenset[str]) -> Drop | str | None:
    """Trace a packet through a chain.

    Returns:
        Where it is dropped; ``accept``; ``unsure``; or None if it reaches the end of the chain.
    """
    chain = table.chains.get(name)
    if chain is None or name in above:
        return "unsure"
    unsure = False
    for rule in chain.rules:
        holds = _all_hold(rule.matches, packet)
        if holds is False or not rule.verdict:
            continue
        outcome = _outcome(table, name, rule, packet, above | {name})
        if holds is None:
            # It may or may not match. Unless it drops, it may take the packet past a later drop.
            unsure = unsure or not isinstance(outcome, Drop)
            continue
        if outcome == "return":
            break
        if outcome is not None:
            return "unsure" if unsure else outcome
    return "unsure" if unsure else None


def _outcome(
    table: Table, chain: str, rule: Rule, packet: Packet, above: frozenset[str]
) -> Drop | str | None:
    match rule.verdict:
        case "accept" | "return":
            return rule.verdict
        case "drop":
            return Drop(table, chain, rule, packet.protocol)
        case "jump":
            return _traverse(table, rule.target, packet, above)
        case "goto":
            return _traverse(table, rule.target, packet, above) or "return"
        case _:
            return "unsure"


def _all_hold(matches: tuple[Match, ...], packet: Packet) -> bool | None:
    held = [_holds(each, packet) for each in matches]
    if False in held:
        return False
    return None if None in held else True


def _holds(match: Match, packet: Packet) -> bool | None:
    found: str | int | IPAddress
    match match.field:
        case "protocol":
            found = packet.protocol
        case "source":
            found = packet.source
        case "destination":
            found = packet.destination
        case "in":
            found = packet.in_link
        case "out":
            found = packet.out_link
        case "dport":
            if not packet.dport:
                return False
            found = packet.dport
        case "state":
            found = "new"  # tunnelled flows are one-way, so conntrack never sees a reply
        case _:
            return None
    equal = [_equals(value, found) for value in match.values]
    if True in equal:
        return not match.negated
    return None if None in equal else match.negated


def _equals(value: str | int | tuple[int, int], found: str | int | IPAddress) -> bool | None:
    match value, found:
        case (int(low), int(high)), int():
            return low <= found <= high
        case int(), int():
            return value == found
        case str(), str():
            prefix = value.rstrip("+*")
            return found.startswith(prefix) if prefix != value else found.lower() == value.lower()
        case str(), (int()):
            return None
        case str(), _:
            try:
                network = ip_network(value, strict=False)
            except ValueError:
                return None
            return network.version == found.version and found in network  # type: ignore[union-attr]
        case _:
            return None


def protocol_values(words: Iterator[str] | list[str]) -> Values:
    """Return protocols as numbers, and unknown names unchanged."""
    return tuple(
        int(word) if word.isdigit() else PROTOCOLS.get(word.lower(), word) for word in words
    )
