"""The host's original configuration, as the agent stores it."""

from dataclasses import dataclass, field
from typing import Any

import cattrs
from cattrs.strategies import configure_tagged_union

from lvsctl.host.baseline import Baseline, BaselineEntry, plan_restore
from lvsctl.host.interface import (
    AddressKey,
    Config,
    FouPortKey,
    HostKey,
    HostState,
    LinkConfig,
    LinkKey,
    RouteKey,
    RuleKey,
)
from lvsctl.messages.converter import strict_converter, structured


@dataclass(frozen=True, slots=True)
class Record:
    """The original configuration, and whether the set-up was completed.

    Attributes:
        boot: Kernel and network namespace that it describes; void for any other.
        found: The original configuration.
        settled: Everything was observed in place after the last change of the record. Anything
            that is out of place after that was changed by somebody else.
        lost: An earlier record was damaged, so the original sysctls are unknown.
    """

    boot: str
    found: Baseline = field(default_factory=dict)
    settled: bool = False
    lost: bool = False


def prune(found: Baseline, wanted: HostState, observed: HostState) -> Baseline:
    """Drop the entries that are neither desired nor still to be undone.

    A device's sysctls go with it: a later device of the same name gets new entries.
    """
    to_undo = {change.key for change in plan_restore(found, observed)}
    return {key: entry for key, entry in found.items() if key in wanted or key in to_undo}


def assumed_baseline(wanted: HostState) -> Baseline:
    """Return a baseline to assume where the record is lost.

    VIPs, tunnel devices, ports, routes and rules are recognizably lvsctl's; for sysctls there
    is no way to know the original value.
    """
    found: dict[HostKey, BaselineEntry] = {}
    for key, config in wanted.items():
        match key, config:
            case AddressKey(), _:
                found[key] = BaselineEntry(None, (config,))
            case LinkKey(), LinkConfig(up=True):
                found[key] = BaselineEntry(None, (config,))
            case RouteKey() | RuleKey() | FouPortKey(), _:
                found[key] = BaselineEntry(None, (config,))
            case _:
                pass
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    key: HostKey
    found: Config | None
    ours: tuple[Config | None, ...]


@dataclass(frozen=True, slots=True)
class _Document:
    boot: str
    lines: tuple[_Line, ...]
    settled: bool
    lost: bool


def record_document(record: Record) -> object:
    """Return a record as a JSON document."""
    lines = tuple(_Line(key, entry.found, entry.ours) for key, entry in record.found.items())
    return _CONVERTER.unstructure(_Document(record.boot, lines, record.settled, record.lost))


def read_record(document: object) -> Record:
    """Return the record of a parsed JSON document.

    Raises:
        InvalidInput: It is not a record.
    """
    read = structured(_CONVERTER, document, _Document)
    found = {line.key: BaselineEntry(line.found, line.ours) for line in read.lines}
    return Record(read.boot, found, read.settled, read.lost)


def _converter() -> cattrs.Converter:
    converter = strict_converter()
    for union in (HostKey, Config):
        configure_tagged_union(union, converter, tag_name="what")
    any_config: Any = Config
    or_absent: Any = Config | None
    converter.register_structure_hook(
        or_absent,
        lambda value, _: None if value is None else converter.structure(value, any_config),
    )
    converter.register_unstructure_hook(
        or_absent,
        lambda value: None if value is None else converter.unstructure(value, any_config),
    )
    return converter


_CONVERTER = _converter()
