"""Parses the output of iptables-save. Pure."""

import shlex
from collections.abc import Iterator, Mapping

from lvsctl.doctor.firewall import Chain, Match, Rule, Table, Values, protocol_values
from lvsctl.net import Family

_FIELDS: Mapping[str, str] = {
    "-s": "source",
    "-d": "destination",
    "-p": "protocol",
    "-i": "in",
    "-o": "out",
    "--dport": "dport",
    "--dports": "dport",
    "--ctstate": "state",
    "--state": "state",
}
_IGNORED = frozenset({"--comment", "-m", "--reject-with", "--log-prefix", "--log-level"})
_VERDICTS: Mapping[str, str] = {
    "ACCEPT": "accept",
    "DROP": "drop",
    "REJECT": "drop",
    "RETURN": "return",
    "LOG": "",
    "NFLOG": "",
    "MARK": "",
    "CONNMARK": "",
    "NOTRACK": "",
    "TCPMSS": "",
}
_PROGRAMS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}


def parse_iptables(text: str, family: Family, program: str = "") -> tuple[Table, ...]:
    """Parse the output of iptables-save or ip6tables-save.

    Args:
        text: The output.
        family: Address family of the tables.
        program: The command that changes these tables; the legacy and the nft variant each see
            only their own.
    """
    tables: dict[str, dict[str, Chain]] = {}
    chains: dict[str, Chain] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            name, policy, *_ = line[1:].split()
            hook = "" if policy == "-" else name.lower()
            chains[name] = Chain(hook=hook, policy="drop" if policy == "DROP" else "accept")
        elif line.startswith("-A "):
            _, name, *words = shlex.split(line)
            before = chains.get(name, Chain())
            rule = _rule(words, line.split(maxsplit=2)[2] if words else "")
            chains[name] = Chain((*before.rules, rule), before.hook, before.policy)
    program = program or _PROGRAMS[family]
    return tuple(
        Table(
            f"{_PROGRAMS[family]} {name}",
            frozenset({family}),
            chains,
            remove=f"{program} -t {name} -D",
            allow=f"{program} -t {name} -I {{chain}} -p {{protocol}} -j ACCEPT",
        )
        for name, chains in tables.items()
    )


def _rule(words: list[str], text: str) -> Rule:
    matches: list[Match] = []
    verdict = target = ""
    for negated, option, arguments in _options(words):
        if option in {"-j", "-g"} and arguments:
            known = _VERDICTS.get(arguments[0])
            jump = "jump" if option == "-j" else "goto"
            # A user-defined chain or an unknown target: only the former is among the chains.
            verdict, target = (jump, arguments[0]) if known is None else (known, "")
        elif option in _FIELDS and arguments:
            name = _FIELDS[option]
            matches.append(Match(name, _values(name, arguments[0]), negated))
        elif option not in _IGNORED:
            matches.append(Match("?", (option,)))
    return Rule(tuple(matches), verdict, target, text)


def _options(words: list[str]) -> Iterator[tuple[bool, str, list[str]]]:
    negated, at = False, 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "!":
            negated = True
            continue
        arguments = []
        while at < len(words) and not words[at].startswith("-") and words[at] != "!":
            arguments.append(words[at])
            at += 1
        yield negated, word, arguments
        negated = False


def _values(field: str, text: str) -> Values:
    words = text.split(",")
    if field == "protocol":
        return () if words == ["all"] else protocol_values(words)
    if field == "dport":
        return tuple(_ports(word) for word in words)
    return tuple(words)


def _ports(word: str) -> str | int | tuple[int, int]:
    low, colon, high = word.partition(":")
    if not all(part.isdigit() for part in ((low, high) if colon else (low,))):
        return word
    return (int(low), int(high)) if colon else int(low)
