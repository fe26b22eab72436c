"""Values as JSON text and back, in the one form in which stores keep them.

Enumerations are written by name where the kernel knows them by number, addresses and times as
text, sets sorted, and every field is there even at its default: a later default must not change
what somebody stored. Reading is strict, since what does not fit was not written by lvsctl.
"""

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_interface,
)
from operator import itemgetter
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn
from cattrs.strategies import configure_tagged_union

from lvsctl.events import RecordedEvent
from lvsctl.farm.access import Token
from lvsctl.farm.checks import Request
from lvsctl.farm.model import Pool, RealServer, Service, Settings
from lvsctl.farm.objects import Directors, Kind, StoredObject
from lvsctl.farm.status import Agent, Override
from lvsctl.farm.tunnels import Tunnel
from lvsctl.health.marks import ProbeMark, TunnelPath
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.ipvs.table import ServiceKey
from lvsctl.net import address_text, parse_address
from lvsctl.reasons.documents import read_reason, reason_document
from lvsctl.reasons.reason import Reason
from lvsctl.store.interface import HostClaim, Mode

T = TypeVar("T")
E = TypeVar("E", bound=enum.IntEnum)
F = TypeVar("F", bound=enum.IntFlag)

TYPES: Mapping[Kind, type[StoredObject]] = {
    Kind.SERVICE: Service,
    Kind.POOL: Pool,
    Kind.TUNNEL: Tunnel,
    Kind.DIRECTORS: Directors,
    Kind.SETTINGS: Settings,
    Kind.OVERRIDE: Override,
    Kind.AGENT: Agent,
    Kind.TOKEN: Token,
}


class UnreadableDocument(ValueError):
    """A text is not what lvsctl writes for a value of that type."""


def encode_object(kind: Kind, value: StoredObject) -> str:
    """Write an object of a kind.

    Raises:
        TypeError: The value is of another kind.
    """
    if not isinstance(value, TYPES[kind]):
        raise TypeError(f"{value!r} is no {kind}")
    return _encode(value)


def decode_object(kind: Kind, text: str) -> StoredObject:
    """Read an object of a kind.

    Raises:
        UnreadableDocument: It is none.
    """
    value: StoredObject = _decode(text, TYPES[kind])
    return value


def encode_key(key: ServiceKey | HostClaim) -> str:
    """Write the key of a virtual service, a device or an address; equal keys give equal text."""
    return _encode(key)


def decode_service_key(text: str) -> ServiceKey:
    """Read the key of a virtual service.

    Raises:
        UnreadableDocument: It is none.
    """
    key: ServiceKey = _decode(text, ServiceKey)
    return key


def decode_host_claim(text: str) -> HostClaim:
    """Read the key of a device or an address.

    Raises:
        UnreadableDocument: It is none.
    """
    key: HostClaim = _decode(text, HostClaim)
    return key


def encode_tunnel_path(path: TunnelPath) -> str:
    """Write a path of probes; equal paths give equal text."""
    return _encode(path)


def decode_tunnel_path(text: str) -> TunnelPath:
    """Read a path of probes.

    Raises:
        UnreadableDocument: It is none.
    """
    path: TunnelPath = _decode(text, TunnelPath)
    return path


def encode_probe_mark(mark: ProbeMark) -> str:
    """Write the mark and source port of a path."""
    return _encode(mark)


def decode_probe_mark(text: str) -> ProbeMark:
    """Read the mark and source port of a path.

    Raises:
        UnreadableDocument: It is none.
    """
    mark: ProbeMark = _decode(text, ProbeMark)
    return mark


def encode_probe_id(probe: ProbeId) -> str:
    """Write what a verdict is kept by; equal ones give equal text."""
    return _encode(probe)


def decode_probe_id(text: str) -> ProbeId:
    """Read what a verdict is kept by.

    Raises:
        UnreadableDocument: It is none.
    """
    probe: ProbeId = _decode(text, ProbeId)
    return probe


def encode_kept_verdict(verdict: KeptVerdict) -> str:
    """Write a verdict."""
    return _encode(verdict)


def decode_kept_verdict(text: str) -> KeptVerdict:
    """Read a verdict.

    Raises:
        UnreadableDocument: It is none.
    """
    verdict: KeptVerdict = _decode(text, KeptVerdict, _verdict_with_codes)
    return verdict


def _verdict_with_codes(document: dict[str, Any]) -> None:
    """Give a verdict that was kept with one reason, as text, a list of reasons."""
    if "reason" in document:
        document["reasons"] = [document.pop("reason")]


def encode_mode(mode: Mode) -> str:
    """Write a mode."""
    return _encode(mode)


def decode_mode(text: str) -> Mode:
    """Read a mode.

    Raises:
        UnreadableDocument: It is none.
    """
    mode: Mode = _decode(text, Mode)
    return mode


def encode_event(event: RecordedEvent) -> str:
    """Write an event."""
    return _encode(event)


def decode_event(text: str) -> RecordedEvent:
    """Read an event.

    Raises:
        UnreadableDocument: It is none.
    """
    event: RecordedEvent = _decode(text, RecordedEvent)
    return event


def _encode(value: object) -> str:
    return _JSON.encode(_CONVERTER.unstructure(value))


def _decode(
    text: str,
    form: Any,  # noqa: ANN401 - cattrs' own signature; typed above
    upgrade: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Any:  # noqa: ANN401
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise UnreadableDocument(f"{text[:40]!r} is no JSON object")
        upgrade(document)
        return _CONVERTER.structure(document, form)
    except cattrs.BaseValidationError as error:
        reasons = cattrs.transform_error(error, format_exception=_why)
        raise UnreadableDocument("; ".join(reasons)) from error
    except ValueError as error:
        raise UnreadableDocument(str(error)) from error


def _why(error: BaseException, form: type | None) -> str:
    return str(error) if isinstance(error, ValueError) else cattrs.v.format_exception(error, form)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for plain in (bool, int, str):
        converter.register_structure_hook(plain, _exactly)
    converter.register_structure_hook(enum.StrEnum, lambda text, form: form(_exactly(text, str)))
    converter.register_structure_hook(enum.IntEnum, _by_name)
    converter.register_unstructure_hook(enum.IntEnum, _name_of)
    converter.register_structure_hook(enum.IntFlag, _flags_by_name)
    converter.register_unstructure_hook(enum.IntFlag, _names_of)
    for address in (IPv4Address, IPv6Address):
        converter.register_unstructure_hook(address, address_text)
    for interface in (IPv4Interface, IPv6Interface):
        converter.register_unstructure_hook(interface, str)
    converter.register_unstructure_hook(IPv4Address | IPv6Address, address_text)
    converter.register_structure_hook(
        IPv4Address | IPv6Address, lambda text, _: parse_address(_exactly(text, str))
    )
    converter.register_structure_hook(
        IPv4Address | IPv6Address | None,
        lambda text, _: None if text is None else parse_address(_exactly(text, str)),
    )
    converter.register_structure_hook(
        IPv4Interface | IPv6Interface, lambda text, _: ip_interface(_exactly(text, str))
    )
    converter.register_structure_hook(float, _number)
    converter.register_unstructure_hook(bytes, bytes.hex)
    converter.register_structure_hook(bytes, lambda text, _: bytes.fromhex(_exactly(text, str)))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(
        datetime, lambda text, _: datetime.fromisoformat(_exactly(text, str))
    )
    converter.register_structure_hook_factory(
        lambda form: _origin(form) in (tuple, frozenset), partial(_reader_of_several, converter)
    )
    converter.register_unstructure_hook_factory(
        lambda form: _origin(form) is tuple, partial(_writer_of_tuples, converter)
    )
    converter.register_unstructure_hook_func(
        lambda form: _origin(form) is frozenset,
        lambda values: sorted(map(converter.unstructure, values), key=json.dumps),
    )
    converter.register_unstructure_hook(Reason, reason_document)
    converter.register_structure_hook(Reason, lambda document, _: read_reason(document))
    configure_tagged_union(
        Request,
        converter,
        tag_name="kind",
        tag_generator=lambda form: form.__name__.removesuffix("Request").lower(),
    )
    converter.register_structure_hook(RealServer, _reader_of_real_servers(converter))
    return converter


def _reader_of_real_servers(
    converter: cattrs.Converter,
) -> Callable[[object, type[RealServer]], RealServer]:
    """Return what reads servers, of which a farm has tens of thousands.

    What is not as they are usually written is left to cattrs, which also says what is wrong.
    """
    read_any = make_dict_structure_fn(RealServer, converter)
    names = [field.name for field in fields(RealServer)]
    fields_of = itemgetter(*names)

    def read(document: Any, form: type[RealServer]) -> RealServer:  # noqa: ANN401 - any JSON
        try:
            name, address, weight, upper, lower, tunnel = fields_of(document)
            usual = type(weight) is type(upper) is type(lower) is int and type(name) is str
            if usual and tunnel is None and len(document) == len(names):
                return RealServer(name, parse_address(address), weight, upper, lower)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        return read_any(document, form)

    return read


def _reader_of_several(
    converter: cattrs.Converter,
    form: Any,  # noqa: ANN401 - typing has no type for types
) -> Callable[[object, object], tuple[object, ...] | frozenset[object]]:
    """Return what reads tuples or sets of one type, which is looked up once, not for each value."""
    origin, kind = _origin(form), form.__args__[0]
    read = converter.get_structure_hook(kind)
    return lambda values, _: origin([read(value, kind) for value in _exactly(values, list)])


def _writer_of_tuples(
    converter: cattrs.Converter,
    form: Any,  # noqa: ANN401 - typing has no type for types
) -> Callable[[tuple[object, ...]], list[object]]:
    """Return what writes tuples of one type; cattrs' own looks the type up for each element."""
    write = converter.get_unstructure_hook(form.__args__[0])
    return lambda values: [write(value) for value in values]


def _number(value: object, _: object) -> float:
    if type(value) not in (int, float):
        raise UnreadableDocument(f"{value!r} is no number")
    return float(value)  # type: ignore[arg-type]


def _origin(form: object) -> Any:  # noqa: ANN401 - typing's own answer
    return getattr(form, "__origin__", None)


def _exactly(value: object, form: type[T]) -> T:
    if type(value) is not form:  # not isinstance: True is no number here
        raise UnreadableDocument(f"{value!r} is no {form.__name__}")
    return value


def _name_of(member: enum.IntEnum) -> str:
    return member.name.lower()


def _names_of(flags: enum.IntFlag) -> list[str]:
    return [str(flag.name).lower() for flag in flags]


def _flags_by_name(names: object, form: type[F]) -> F:
    known = {str(flag.name).lower(): flag for flag in form}
    flags = form(0)
    for name in _exactly(names, list):
        if name not in known:
            raise UnreadableDocument(f"{name!r} is no {form.__name__}")
        flags |= known[name]
    return flags


def _by_name(name: object, form: type[E]) -> E:
    for member in form:
        if member.name.lower() == name:
            return member
    raise UnreadableDocument(f"{name!r} is no {form.__name__}")


_CONVERTER = _converter()
_JSON = json.JSONEncoder(separators=(",", ":"))
