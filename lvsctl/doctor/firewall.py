"""Whether a packet filter drops a packet, as far as its rules can be read. Pure.

A rule set is read into one form, whichever program showed it, and a packet is led through it. What
is not understood (an ipset, a mark, a rate) is neither true nor false: a verdict that depends on it
is not given. So "dropped" is certain, and "not dropped" is not: only a packet can show that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

from lvsctl.net import Family, IPAddress, family_of

Values = tuple[str | int | tuple[int, int], ...]
"""Names, networks as text, numbers, and ranges of numbers with both ends."""

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
"""As iptables and nft write them, after /etc/protocols."""


@dataclass(frozen=True, slots=True)
class Match:
    """A condition on a packet.

    Attributes:
        field: protocol, source, destination, in, out, dport, state; another one is not understood.
        values: Of which one must hold.
        negated: Of which none may hold.
    """

    field: str
    values: Values
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        matches: All must hold.
        verdict: accept, drop, return, jump, goto; empty where the next rule follows; another one
            is not understood.
        target: The chain of a jump or goto.
        text: The rule as its program shows it.
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
        hook: prerouting, input, forward, output, postrouting; empty for a chain that is jumped to.
        policy: What happens to a packet that no rule decides on.
    """

    rules: tuple[Rule, ...] = ()
    hook: str = ""
    policy: str = "accept"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of chains.

    Attributes:
        name: As its program names it.
        families: Of the packets it sees.
        chains: By name.
        remove: Command that takes a rule away; chain and rule follow.
        allow: Command that lets a ``{protocol}`` pass ``{chain}``.
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
        source: Its source.
        destination: Its destination.
        dport: Destination port; 0 where its protocol has none.
        in_link: Device that it arrives on, empty for none.
        out_link: Device that it leaves by, empty for none.
    """

    protocol: int
    source: IPAddress
    destination: IPAddress
    dport: int = 0
    in_link: str = ""
    out_link: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """Where a packet ends."""

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
    """Return where a packet certainly ends in one of the hooks, None where that is not certain."""
    for table in tables:
        if family_of(packet.destination) not in table.families:
            continue
        for name, chain in table.chains.items():
            if chain.hook in hooks:
                drop = _through(table, name, packet, frozenset())
                if isinstance(drop, Drop):
                    return drop
                if drop is None and chain.policy == "drop":
                    return Drop(table, name, None, packet.protocol)
    return None


def _through(table: Table, name: str, packet: Packet, above: frozenset[str]) -> Drop | str | None:
    """Lead a packet through a chain.

    Returns:
        Where it is dropped; ``accept``; ``unsure``; or None where the chain ends undecided.
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
            # Whatever it would do to the packet, other than drop it, may spare it from the rest.
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
            return _through(table, rule.target, packet, above)
        case "goto":
            return _through(table, rule.target, packet, above) or "return"
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
            found = "new"  # nothing ever answers a tunnelled packet, so its flow stays new
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
    """Return protocols as numbers, those that have no name here as they are."""
    return tuple(
        int(word) if word.isdigit() else PROTOCOLS.get(word.lower(), word) for word in words
    )
