"""The history of the farm."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.daemon import Daemon
from api.documentation import refusals
from api.rendering import large_response
from api.schemas.fields import utc_text
from api.schemas.history import History, HistoryEntry
from lvsctl.director.write.history import CommitSummary
from lvsctl.errors import InvalidInput, Problem
from lvsctl.farm.objects import Kind, ObjectId

router = APIRouter(prefix="/history", tags=["farm"])

MAX_COMMITS = 1000
MAX_REVISION = 2**63 - 1


@router.get(
    "",
    summary="Show the history",
    response_model=History,
    responses=refusals(HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def get_history(
    daemon: Daemon,
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
    """Who changed the farm and when, as long as it is kept. ``GET /v1/farm?revision=`` shows it."""
    commits = await daemon.writer.history.commits(_object_id(of) if of else None, limit, before)
    answer: History = {"commits": [*map(_entry, commits)]}
    return await large_response(lambda: answer)


def _object_id(text: str) -> ObjectId:
    kind, _, name = text.partition("/")
    if kind not in [*Kind]:
        allowed = f"a kind and a name, such as service/web; kinds are {', '.join(Kind)}"
        raise InvalidInput([Problem("", f"object: {text!r} names no object", allowed)])
    return ObjectId(Kind(kind), name)


def _entry(commit: CommitSummary) -> HistoryEntry:
    return {
        "revision": commit.revision,
        "at": utc_text(commit.at),
        "by": commit.author.name,
        "objects": [f"{each.kind}/{each.name}".rstrip("/") for each in commit.objects],
        "changes": [*commit.author.changed],
    }
