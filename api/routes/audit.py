"""The audit: who changed what, and who was refused."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.daemon import Daemon
from api.rendering import json_response
from api.schemas.audit import AuditAnswer, AuditedRefusal, AuditedWrite
from api.schemas.fields import MAX_REVISION
from lvsctl.director.access.acts import Act
from lvsctl.director.access.refusals import Refusal
from lvsctl.store.commits import AuditRecord
from lvsctl.times import format_utc

router = APIRouter(prefix="/audit", tags=["audit"])

MAX_WRITES = 1000


@router.get("", summary="Show who changed what, and who was refused", response_model=AuditAnswer)
async def get_audit(
    daemon: Daemon,
    limit: Annotated[int, Query(ge=1, le=MAX_WRITES, description="How many writes.")] = 100,
    before: Annotated[
        int | None,
        Query(ge=1, le=MAX_REVISION, description="Only writes of revisions below this one."),
    ] = None,
) -> Response:
    """Writes stay as long as the farm's history, all else until this director is restarted.

    All of it is in the director's journal too.
    """
    writes = [_write(record) for record in await daemon.writer.audit(limit, before)]
    if before is None:
        writes += map(_act, daemon.acts.latest)
        writes.sort(key=lambda each: each["at"], reverse=True)
    answer: AuditAnswer = {
        "writes": writes[:limit],
        "refusals": [_refusal(each) for each in daemon.refusals.all],
    }
    return json_response(answer)


def _write(record: AuditRecord) -> AuditedWrite:
    return {
        "revision": record.revision,
        "at": format_utc(record.at),
        "by": record.author.name,
        "source": record.author.source,
        "changes": [*record.author.changed],
    }


def _act(act: Act) -> AuditedWrite:
    return {
        "revision": None,
        "at": format_utc(act.at),
        "by": act.by,
        "source": act.source,
        "changes": [act.what],
    }


def _refusal(refusal: Refusal) -> AuditedRefusal:
    return {
        "source": refusal.source,
        "name": refusal.name,
        "reason": refusal.reason,
        "times": refusal.times,
        "first": format_utc(refusal.first),
        "last": format_utc(refusal.last),
    }
