"""Agents: registration, assignment and report."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api.access import (
    Asking,
    confirm_renewal,
    refuse_foreign_address,
    refuse_foreign_pools,
)
from api.agent_views import agent_document
from api.bodies import read_body
from api.daemon import CurrentSnapshot, Daemon
from api.documentation import BODY, CONFLICT, CREATED, LIMITED, MISSING, takes
from api.preconditions import Conditions, known_tags
from api.problems import NOT_YET, RequestRefused
from api.rendering import json_response, large_response
from api.routes.parameters import AgentName
from api.schemas.agents import Agents, AgentWithConnections, Assignment, Registration, Report
from api.schemas.answers import WriteAnswer
from api.writes import MAX_WAIT_S, Wait, written_response
from lvsctl.director.agents.edits import RemoveAgent
from lvsctl.errors import NotFound
from lvsctl.messages.documents import assignment_document, read_registration, read_report
from lvsctl.messages.limits import MAX_REPORT_BYTES

router = APIRouter(prefix="/agents", tags=["agents"], dependencies=[Depends(confirm_renewal)])

FIRST_WAIT_S = 5
"""A new agent gets its assignment after the next cycle."""


@router.get("", summary="List agents", response_model=Agents)
async def list_agents(snapshot: CurrentSnapshot) -> Response:
    """All agents, including those that have left, until they are removed."""
    return await large_response(
        lambda: {
            "agents": [
                agent_document(agent, snapshot) for agent in snapshot.state.status.agents.values()
            ]
        }
    )


@router.get(
    "/{agent}", summary="Show an agent", response_model=AgentWithConnections, responses=MISSING
)
async def get_agent(agent: AgentName, daemon: Daemon, snapshot: CurrentSnapshot) -> Response:
    """An agent, with the active connections to its address over all services of the farm."""
    connections = await daemon.agents.connections(agent)
    document = agent_document(snapshot.state.status.agents[agent], snapshot)
    return json_response({**document, "connections": connections})


@router.put(
    "/{agent}",
    summary="Join, change, leave",
    response_model=WriteAnswer,
    responses=CREATED | BODY | CONFLICT | LIMITED,
    openapi_extra=takes(Registration),
)
async def put_agent(
    request: Request, agent: AgentName, daemon: Daemon, asking: Asking, wait: Wait = None
) -> Response:
    """Register an agent; idempotent."""
    registration = await read_body(request, read_registration)
    known = daemon.state.status.agents.get(agent)
    # Also those that it is in: a registration without them takes its server out of them.
    pools = {*registration.pools, *(known.pools if known else ())}
    refuse_foreign_pools(asking, pools, daemon.refusals)
    refuse_foreign_address(asking, registration.address, daemon.refusals)
    status = HTTPStatus.OK if known else HTTPStatus.CREATED
    written = await daemon.agents.register(
        agent, registration, by=asking.author, source=asking.source
    )
    return await written_response(daemon, written, wait, status=status)


@router.delete(
    "/{agent}", summary="Remove an agent", response_model=WriteAnswer, responses=MISSING | CONFLICT
)
async def delete_agent(
    agent: AgentName, daemon: Daemon, asking: Asking, wait: Wait = None
) -> Response:
    """Remove an agent with its undeclared server; a declared server then has no agent."""
    written = await daemon.writer.write(RemoveAgent(agent), by=asking.author, source=asking.source)
    return await written_response(daemon, written, wait)


@router.get(
    "/{agent}/assignment",
    summary="Wait for an agent's assignment",
    response_model=Assignment,
    responses=MISSING | {HTTPStatus.NOT_MODIFIED.value: {"description": "It has not changed."}},
)
async def get_assignment(
    agent: AgentName,
    daemon: Daemon,
    conditions: Conditions,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=MAX_WAIT_S,
            allow_inf_nan=False,
            description="Wait up to this many seconds for a change before answering 304.",
        ),
    ] = 0,
) -> Response:
    """Desired state of the agent's host; returns at once if it differs from If-None-Match."""
    tag = next(iter(known_tags(conditions)), None)
    found = await daemon.agents.assignment(agent, tag, wait if tag else max(wait, FIRST_WAIT_S))
    if found is None and tag is None:
        raise RequestRefused(
            NOT_YET,
            f"no cycle has included agent {agent} yet; try again",
            headers={"Retry-After": "1"},
        )
    if found is None:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag or ""})
    etag, assignment = found
    return json_response(assignment_document(assignment), etag=etag)


@router.put(
    "/{agent}/report",
    summary="Report",
    status_code=HTTPStatus.NO_CONTENT,
    response_model=None,
    responses=MISSING | BODY | LIMITED,
    openapi_extra=takes(Report),
)
async def put_report(
    request: Request, agent: AgentName, daemon: Daemon, asking: Asking
) -> Response:
    """Observed state of the agent's host; also serves as a heartbeat."""
    if agent not in daemon.state.status.agents:
        raise NotFound(f"there is no agent {agent}")
    report = await read_body(request, read_report, max_bytes=MAX_REPORT_BYTES)
    await daemon.agents.report(agent, report, by=asking.author, source=asking.source)
    return Response(status_code=HTTPStatus.NO_CONTENT)
