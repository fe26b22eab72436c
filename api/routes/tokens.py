"""Tokens: who may use the director."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.access import Asking
from api.bodies import read_body
from api.daemon import Daemon
from api.documentation import BODY, CONFLICT, LIMITED, MISSING, takes
from api.rendering import json_response
from api.routes.parameters import AgentName, TokenName
from api.schemas.answers import WriteAnswer
from api.schemas.tokens import JoinRequest, NewSecret, TokenAnswer, TokenRequest, Tokens, lasting
from api.validation import validated
from api.writes import written_response
from lvsctl.director.access.edits import (
    CreateToken,
    JoinFarm,
    RenewCredential,
    RevokeToken,
    RotateToken,
    token_of,
)
from lvsctl.director.access.secret_texts import digest, new_secret_text
from lvsctl.errors import Conflict
from lvsctl.farm.access import Secret, Token
from lvsctl.times import format_utc, parse_duration

router = APIRouter(prefix="/tokens", tags=["tokens"])

join_router = APIRouter(tags=["agents"])

OVERLAP = "1h"
AGENT_TTL = timedelta(days=90)
AGENT_OVERLAP = timedelta(days=1)
"""For the agent that never got the answer."""
DURATION = {"pattern": "^[0-9]{1,5}[smhd]$"}


@router.get("", summary="List tokens", response_model=Tokens)
async def list_tokens(daemon: Daemon) -> Response:
    """All tokens with their last use; their secrets are not stored."""
    return json_response({"tokens": [_document(daemon, token) for token in _stored(daemon)]})


@router.get("/{token}", summary="Show a token", response_model=TokenAnswer, responses=MISSING)
async def get_token(token: TokenName, daemon: Daemon) -> Response:
    """A token with its last use; its secret is not stored."""
    return json_response(_document(daemon, token_of(daemon.state, token)))


@router.put(
    "/{token}",
    summary="Create a token",
    status_code=HTTPStatus.CREATED,
    response_model=NewSecret,
    responses=BODY | CONFLICT,
    openapi_extra=takes(TokenRequest),
)
async def put_token(request: Request, token: TokenName, daemon: Daemon, asking: Asking) -> Response:
    """Create a token; only this answer has its secret. 409 if there is one of that name."""
    asked = await read_body(request, lambda document: validated(TokenRequest, document))
    text = new_secret_text()
    value = asked.value(token, digest(text), asking.author, daemon.now())
    await daemon.writer.write(CreateToken(value), by=asking.author, source=asking.source)
    return _shown_once(value, text, HTTPStatus.CREATED)


@router.post(
    "/{token}/rotate",
    summary="Give a token a new secret",
    response_model=NewSecret,
    responses=MISSING,
)
async def rotate_token(
    token: TokenName,
    daemon: Daemon,
    asking: Asking,
    overlap: Annotated[
        str,
        Query(
            pattern=DURATION["pattern"],
            description="For how long the present secret stays valid beside the new one.",
        ),
    ] = OVERLAP,
    ttl: Annotated[
        str | None,
        Query(
            pattern=DURATION["pattern"],
            description="Time until the new one expires, 1s to 3650d; default: the lifetime of "
            "the present one.",
        ),
    ] = None,
) -> Response:
    """Give a token a new secret, which only this answer has; the present one ends after overlap."""
    now, text = daemon.now(), new_secret_text()
    expires = lasting(None if ttl is None else parse_duration(ttl), now)
    edit = RotateToken(
        token, Secret(digest(text), now, expires), timedelta(seconds=parse_duration(overlap))
    )
    written = await daemon.writer.write(edit, by=asking.author, source=asking.source)
    return _shown_once(token_of(written.state, token), text, HTTPStatus.OK)


@router.delete("/{token}", summary="Revoke a token", response_model=WriteAnswer, responses=MISSING)
async def delete_token(token: TokenName, daemon: Daemon, asking: Asking) -> Response:
    """Revoke a token: from now on it is refused."""
    written = await daemon.writer.write(RevokeToken(token), by=asking.author, source=asking.source)
    return await written_response(daemon, written, None)


@join_router.post(
    "/join",
    summary="Get the credential of a new agent",
    status_code=HTTPStatus.CREATED,
    response_model=NewSecret,
    responses=BODY | CONFLICT | MISSING,
    openapi_extra=takes(JoinRequest),
)
async def join(request: Request, daemon: Daemon, asking: Asking) -> Response:
    """With a token of role join: one use of it buys the credential of one agent.

    409 if there is a credential for that name, or another agent of that name or at that address.
    """
    asked = await read_body(request, lambda document: validated(JoinRequest, document))
    text, now = new_secret_text(), daemon.now()
    edit = JoinFarm(asking.name, asked.agent, asked.address, _agents_secret(text, now))
    written = await daemon.writer.write(edit, by=asking.author, source=asking.source)
    return _shown_once(token_of(written.state, asked.agent), text, HTTPStatus.CREATED)


@join_router.post(
    "/agents/{agent}/credential",
    summary="Renew an agent's credential",
    response_model=NewSecret,
    responses=MISSING | CONFLICT | LIMITED,
)
async def renew_credential(agent: AgentName, daemon: Daemon, asking: Asking) -> Response:
    """Also with one that has expired, unless it was revoked or replaced; once an hour at most.

    The one shown stays valid for a day, and can be renewed again, until the new one is used.
    """
    text, now = new_secret_text(), daemon.now()
    edit = RenewCredential(agent, asking.digest, _agents_secret(text, now), AGENT_OVERLAP)
    try:
        written = await daemon.agent_writes.write(edit, by=asking.author, source=asking.source)
    except Conflict:
        daemon.refusals.record(asking.source, "a replaced secret renews nothing", asking.name)
        raise
    return _shown_once(token_of(written.state, agent), text, HTTPStatus.OK)


def _agents_secret(text: str, now: datetime) -> Secret:
    return Secret(digest(text), now, now + AGENT_TTL)


def _stored(daemon: Daemon) -> list[Token]:
    return sorted(daemon.state.tokens.values(), key=lambda token: token.name)


def _document(daemon: Daemon, token: Token) -> object:
    return TokenAnswer.of(token, daemon.credentials.uses.get(token.name)).model_dump(mode="json")


def _shown_once(token: Token, text: str, status: HTTPStatus) -> Response:
    expires = token.secrets[0].expires
    answer = {
        "name": token.name,
        "role": token.role.value,
        "token": text,
        "expires": format_utc(expires) if expires else None,
    }
    response = json_response(answer, status)
    response.headers["Cache-Control"] = "no-store"
    return response
