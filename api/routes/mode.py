"""Mode of the director: whether it writes to the kernel."""

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.access import Asking
from api.bodies import read_body
from api.daemon import Daemon
from api.documentation import BODY, takes
from api.rendering import json_response
from api.schemas.mode import ModeAnswer, ModeRequest
from api.validation import validated
from lvsctl.store.interface import Mode, ModeName
from lvsctl.times import format_utc

router = APIRouter(prefix="/mode", tags=["mode"])


@router.get("", summary="Show the mode", response_model=ModeAnswer)
async def get_mode(daemon: Daemon) -> Response:
    """Whether the director writes to the kernel or only observes it, why, and until when."""
    return json_response(mode_document(daemon.mode.current))


@router.put(
    "",
    summary="Pause or resume",
    response_model=ModeAnswer,
    responses=BODY,
    openapi_extra=takes(ModeRequest),
)
async def put_mode(request: Request, daemon: Daemon, asking: Asking) -> Response:
    """``observe`` stops writing to the kernel, ``enforce`` resumes; survives a restart."""
    asked = await read_body(request, lambda document: validated(ModeRequest, document))
    asked.check_duration()
    now = daemon.now()
    until = None if asked.lasts_s is None else now + timedelta(seconds=asked.lasts_s)
    mode = Mode(ModeName(asked.mode), asked.reason, until, asking.author, now)
    before = daemon.mode.current.name
    await daemon.set_mode(mode)
    daemon.acts.record(asking, f"change mode: {before} → {mode.name}{_details(mode)}")
    return json_response(mode_document(mode))


def _details(mode: Mode) -> str:
    until = f" until {format_utc(mode.until)}" if mode.until else ""
    return f"{until}: {mode.reason}" if mode.reason else until


def mode_document(mode: Mode) -> ModeAnswer:
    """Return a mode as a document."""
    return {
        "mode": mode.name.value,
        "reason": mode.reason,
        "until": format_utc(mode.until) if mode.until else None,
        "by": mode.by,
    }
