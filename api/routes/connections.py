"""The kernel's connections, and where a connection goes."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.daemon import Daemon
from api.documentation import refusals
from api.rendering import json_response, large_response
from api.schemas.connections import Connections, ExplainAnswer, ExplainedServer, KernelConnection
from lvsctl.director.explain import Cause, Explanation, Flow
from lvsctl.director.state import State
from lvsctl.errors import InvalidInput, NotFound, Problem
from lvsctl.farm.members import members
from lvsctl.farm.model import Service
from lvsctl.ipvs.connections import Connection
from lvsctl.net import IPAddress, IpProtocol, parse_address
from lvsctl.times import format_duration

router = APIRouter(tags=["kernel"])

MAX_PAGE = 1000
ENDPOINT = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")
MAX_PORT = 65535


@router.get(
    "/connections",
    summary="List connections",
    response_model=Connections,
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def get_connections(
    daemon: Daemon,
    *,
    client: Annotated[str, Query(description="Address of a client.", max_length=60)] = "",
    server: Annotated[str, Query(description="Address of a real server.", max_length=60)] = "",
    service: Annotated[str, Query(description="Name of a service.", max_length=100)] = "",
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> Response:
    """The kernel's table of connections, in its order, which changes while it is read."""
    of_client = _address("client", client) if client else None
    of_server = _address("server", server) if server else None
    of_service = _service(daemon.state, service) if service else None

    def wanted(each: Connection) -> bool:
        return (
            (of_client is None or each.client == of_client)
            and (of_server is None or each.server == of_server)
            and (of_service is None or _is_of(each, of_service))
        )

    found, following = await daemon.connections(wanted, offset, limit)
    answer: Connections = {"connections": [*map(_document, found)], "next": following}
    return await large_response(lambda: answer)


@router.get(
    "/explain",
    summary="Explain a connection",
    response_model=ExplainAnswer,
    responses=refusals(HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def get_explanation(
    daemon: Daemon,
    client: Annotated[str, Query(examples=["203.0.113.9:40000"], max_length=60)],
    vip: Annotated[str, Query(examples=["198.51.100.10:80"], max_length=60)],
    protocol: Annotated[str, Query(pattern="^(tcp|udp|sctp)$")] = "tcp",
) -> Response:
    """Which real server a client's connection goes to, and why; as the kernel has it now."""
    flow = Flow(IpProtocol[protocol.upper()], *_endpoint("client", client), *_endpoint("vip", vip))
    if flow.client.version != flow.vip.version:
        raise _refusal("client", f"{flow.client} and {flow.vip} are of two families")
    return json_response(_explained(await daemon.explain(flow), daemon.state))


def _explained(found: Explanation, state: State) -> ExplainAnswer:
    names = state.index.keys.get(found.key, ()) if found.key else ()
    service = state.farm.services[names[0]] if names else None
    return {
        "key": str(found.key) if found.key else None,
        "service": service.name if service else None,
        "scheduler": found.scheduler,
        "cause": found.cause,
        "reason": _reason(found),
        "servers": _servers(found, service, state),
        "connection": _document(found.entry) if found.entry else None,
    }


def _servers(found: Explanation, service: Service | None, state: State) -> list[ExplainedServer]:
    pool = state.farm.pools[service.pool] if service else None
    known = {each.address: each.id.server for each in members(pool, state.status)} if pool else {}
    return [{"name": known.get(each), "address": str(each)} for each in found.servers]


def _reason(found: Explanation) -> str:
    match found.cause:
        case Cause.CONNECTION:
            state = found.entry.state if found.entry else ""
            return f"the connection exists in the kernel ({state})"
        case Cause.PERSISTENCE:
            return "persistence: the client's last connection went there"
        case Cause.HASH:
            return f"the table of {found.scheduler} gives this client that server"
        case Cause.SCHEDULER:
            return f"{found.scheduler} chooses among these servers, by what happened before"
        case Cause.NOBODY if found.scheduler in {"mh", "sh"}:
            return (
                "no server takes the connection: none is available, or the one that "
                f"{found.scheduler} gives this client is not and the service lacks the flag "
                f"{found.scheduler}-fallback"
            )
        case Cause.NOBODY:
            return "no server takes new connections: each has weight 0 or is at its threshold"
        case Cause.NO_SERVICE:
            return "the kernel has no virtual service for this address and port"


def _document(each: Connection) -> KernelConnection:
    return {
        "protocol": each.protocol,
        "client": str(each.client),
        "client_port": each.client_port,
        "vip": str(each.vip),
        "vip_port": each.vip_port,
        "server": str(each.server),
        "state": each.state,
        "expires": format_duration(each.expires_s),
    }


def _is_of(each: Connection, service: Service) -> bool:
    if service.fwmark is not None:
        return each.vip == service.vip or (each.protocol, int(each.vip)) == ("ip", service.fwmark)
    return (
        each.vip == service.vip
        and each.vip_port in service.ports
        and each.protocol == str(service.protocol)
    )


def _service(state: State, name: str) -> Service:
    if name not in state.farm.services:
        raise NotFound(f"there is no service {name}")
    return state.farm.services[name]


def _address(field: str, text: str) -> IPAddress:
    try:
        return parse_address(text)
    except ValueError:
        raise _refusal(field, f"{text!r} is no IP address") from None


def _endpoint(field: str, text: str) -> tuple[IPAddress, int]:
    found = ENDPOINT.fullmatch(text)
    if not found or int(found["port"]) > MAX_PORT:
        raise _refusal(field, f"{text!r} is no address with a port", "203.0.113.9:40000")
    return _address(field, found["v6"] or found["v4"]), int(found["port"])


def _refusal(field: str, detail: str, allowed: str = "") -> InvalidInput:
    return InvalidInput([Problem("", f"{field}: {detail}", allowed)])
