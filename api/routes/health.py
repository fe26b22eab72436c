"""Liveness and readiness of the director, for monitoring; without a token."""

import re
from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from api.daemon import Daemon
from api.rendering import json_response
from api.schemas.answers import Check, DirectorProblems, Health, Readiness
from lvsctl.director.daemon import DirectorDaemon
from lvsctl.director.loop import TIMER_S
from lvsctl.director.problems import Component, DirectorProblem
from lvsctl.reasons import director as reasons
from lvsctl.reasons.reason import Reason

router = APIRouter(tags=["health"])
problems_router = APIRouter(prefix="/problems", tags=["health"])

OVERDUE_S = 6 * TIMER_S
"""Time without a cycle from which the loop counts as stuck; ten thousand operations take less."""


@router.get("/healthz", summary="Liveness", response_model=Health, openapi_extra={"security": []})
async def healthz(daemon: Daemon) -> Response:
    """The process answers."""
    return json_response({"status": "up", "director": daemon.name})


@router.get(
    "/readyz",
    summary="Readiness",
    response_model=Readiness,
    responses={
        HTTPStatus.SERVICE_UNAVAILABLE.value: {
            "model": Readiness,
            "description": "Not ready; the checks say why.",
        }
    },
    openapi_extra={"security": []},
)
async def readyz(daemon: Daemon) -> Response:
    """Cycles run, the kernel can be read, and the disk can be written.

    Do not make VIPs depend on it: disks tend to fill on all directors at once. It needs no token,
    so each check gives only its first sentence; for the full text see ``/v1/problems``.
    """
    checks = checks_of(daemon)
    ready = all(check["ok"] for check in checks)
    answer: Readiness = {
        "ready": ready,
        "checks": [{**check, "detail": first_sentence(check["detail"])} for check in checks],
    }
    return json_response(answer, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


@problems_router.get("", summary="Show problems of the director", response_model=DirectorProblems)
async def get_problems(daemon: Daemon) -> Response:
    """Problems of the director itself, each with its cure, and what was lost."""
    return json_response({"problems": [check for check in checks_of(daemon) if check["detail"]]})


def checks_of(daemon: DirectorDaemon) -> list[Check]:
    """Return the state of each component of a director."""
    problems = daemon.problems
    return [
        _check("cycle", _cycle_problem(daemon.loop.cycle_age_s)),
        _check("kernel", daemon.loop.view.error),
        *(_component_check(component, problems.get(component)) for component in Component),
    ]


def first_sentence(text: str) -> str:
    """Return a text up to its first full stop or semicolon."""
    return re.split(r"[.;] ", text, maxsplit=1)[0]


def _component_check(component: Component, problem: DirectorProblem | None) -> Check:
    if problem is None:
        return _check(component.value, None)
    return {**_check(component.value, problem.reason), "ok": not problem.hinders}


def _check(name: str, why: Reason | None) -> Check:
    return {
        "name": name,
        "detail": str(why or ""),
        "code": why.code if why else "",
        "ok": why is None,
    }


def _cycle_problem(age_s: float | None) -> Reason | None:
    if age_s is None:
        return reasons.FIRST_CYCLE()
    return reasons.CYCLE_OVERDUE(age_s=int(age_s)) if age_s > OVERDUE_S else None
