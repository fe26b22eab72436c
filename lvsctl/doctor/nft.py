"""Parses the output of ``nft -j list ruleset``. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from lvsctl.doctor.firewall import Chain, Match, Rule, Table, Values, protocol_values
from lvsctl.errors import MalformedMessage
from lvsctl.net import Family

Json = Any

_FAMILIES: Mapping[str, frozenset[Family]] = {
    "ip": frozenset({Family.IPV4}),
    "ip6": frozenset({Family.IPV6}),
    "inet": frozenset(Family),
}
_FIELDS: Mapping[tuple[str, str], str] = {
    ("ip", "protocol"): "protocol",
    ("ip6", "nexthdr"): "protocol",
    ("ip", "saddr"): "source",
    ("ip6", "saddr"): "source",
    ("ip", "daddr"): "destination",
    ("ip6", "daddr"): "destination",
    ("udp", "dport"): "udp dport",
    ("tcp", "dport"): "tcp dport",
    ("th", "dport"): "dport",
    ("meta", "l4proto"): "protocol",
    ("meta", "iifname"): "in",
    ("meta", "oifname"): "out",
    ("meta", "iif"): "in",
    ("meta", "oif"): "out",
    ("ct", "state"): "state",
}
_VERDICTS = ("accept", "drop", "return")
_IGNORED = frozenset({"counter", "log", "comment", "mangle", "notrack"})


def parse_nft(text: str) -> tuple[Table, ...]:
    """Parse a rule set.

    Raises:
        MalformedMessage: The text is not a rule set.
    """
    try:
        entries = json.loads(text)["nftables"]
        return _tables(entries)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise MalformedMessage(f"nft -j list ruleset: not understood: {error!r}") from error


def _tables(entries: Json) -> tuple[Table, ...]:
    tables: dict[tuple[str, str], dict[str, Chain]] = {}
    for entry in entries:
        if (found := entry.get("chain")) is not None:
            tables.setdefault((found["family"], found["table"]), {})[found["name"]] = Chain(
                hook=found.get("hook", ""), policy=found.get("policy", "accept")
            )
        elif (found := entry.get("rule")) is not None:
            chains = tables[found["family"], found["table"]]
            before = chains[found["chain"]]
            rules = (*before.rules, _rule(found))
            chains[found["chain"]] = Chain(rules, before.hook, before.policy)
    return tuple(
        Table(
            f"nft {family} {name}",
            _FAMILIES[family],
            chains,
            remove=f"nft delete rule {family} {name}",
            allow=f"nft insert rule {family} {name} {{chain}} meta l4proto {{protocol}} accept",
        )
        for (family, name), chains in tables.items()
        if family in _FAMILIES
    )


def _rule(found: Json) -> Rule:
    matches: list[Match] = []
    verdict = target = ""
    for expression in found["expr"]:
        for kind, body in expression.items():
            if kind == "match":
                matches.extend(_matches(body))
            elif kind in _VERDICTS:
                verdict = kind
            elif kind == "reject":
                verdict = "drop"
            elif kind in {"jump", "goto"}:
                verdict, target = kind, body["target"]
            elif kind == "xt" and not (isinstance(body, dict) and body.get("type") == "match"):
                verdict = "?"
            elif kind not in _IGNORED:
                matches.append(Match("?", (kind,)))
    return Rule(tuple(matches), verdict, target, f"handle {found['handle']}")


def _matches(body: Json) -> list[Match]:
    name = _field(body["left"])
    values = _values(name.split()[-1], body["right"])
    if values is None or body["op"] not in {"==", "!=", "in"}:
        return [Match("?", (name,))]
    transport, _, plain = name.rpartition(" ")
    needed = [Match("protocol", protocol_values([transport]))] if transport else []
    return [*needed, Match(plain, values, negated=body["op"] == "!=")]


def _field(left: Json) -> str:
    if not isinstance(left, dict):
        return "?"
    for kind, body in left.items():
        if kind == "payload" and "protocol" in body:
            return _FIELDS.get((body["protocol"], body["field"]), "?")
        if kind in {"meta", "ct"}:
            return _FIELDS.get((kind, body["key"]), "?")
    return "?"


def _values(field: str, right: Json) -> Values | None:
    items = right["set"] if isinstance(right, dict) and "set" in right else right
    values: list[str | int | tuple[int, int]] = []
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, bool) or (isinstance(item, str) and item.startswith("@")):
            return None
        if isinstance(item, int):
            values.append(item)
        elif isinstance(item, str):
            values.extend(protocol_values([item]) if field == "protocol" else (item,))
        elif isinstance(item, dict) and "prefix" in item:
            values.append(f"{item['prefix']['addr']}/{item['prefix']['len']}")
        elif (
            isinstance(item, dict)
            and "range" in item
            and all(isinstance(end, int) for end in item["range"])
        ):
            low, high = item["range"]
            values.append((low, high))
        else:
            return None
    return tuple(values)
