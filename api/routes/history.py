"""The history of the farm."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.access import Asking
from api.daemon import Daemon
from api.documentation import refusals
from api.problems import FORBIDDEN, RequestRefused
from api.rendering import large_response
from api.schemas.fields import MAX_REVISION
from api.schemas.history import History, HistoryEntry
from lvsctl.director.access.disclosure import readable_lines, readable_objects
from lvsctl.director.access.principal import Principal
from lvsctl.director.write.history import CommitSummary
from lvsctl.errors import InvalidInput, Problem
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.times import format_utc

router = APIRouter(prefix="/history", tags=["farm"])

MAX_COMMITS = 1000


@router.get(
    "",
    summary="Show the history",
    response_model=History,
    responses=refusals(HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def get_history(
    daemon: Daemon,
    asking: Asking,
    of: Annotated[
        str,
        Query(
            alias="object",
            description="Only changes of this object: its kind and name, such as service/web.",
            max_length=250,
        ),
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_COMMITS)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=MAX_REVISION, description="Only revisions below this one.")
    ] = None,
) -> Response:
    """Who changed the farm and when, as long as it is kept. ``GET /v1/farm?revision=`` shows it.

    Only administrators see tokens.
    """
    object_id = _object_id(of) if of else None
    if object_id and not readable_objects(asking, [object_id]):
        raise RequestRefused(
            FORBIDDEN,
            f"{asking.name} has the role {asking.role}; the history of a token needs admin",
        )
    commits = await daemon.writer.history.commits(object_id, limit, before)
    answer: History = {"commits": [_entry(commit, asking) for commit in commits]}
    return await large_response(lambda: answer)


def _object_id(text: str) -> ObjectId:
    kind, _, name = text.partition("/")
    if kind not in [*Kind]:
        allowed = f"a kind and a name, such as service/web; kinds are {', '.join(Kind)}"
        raise InvalidInput([Problem("", f"object: {text!r} names no object", allowed)])
    return ObjectId(Kind(kind), name)


def _entry(commit: CommitSummary, asking: Principal) -> HistoryEntry:
    objects = readable_objects(asking, commit.objects)
    return {
        "revision": commit.revision,
        "at": format_utc(commit.at),
        "by": commit.author.name,
        "objects": [f"{each.kind}/{each.name}".rstrip("/") for each in objects],
        "changes": [*readable_lines(asking, commit.author.changed)],
    }
