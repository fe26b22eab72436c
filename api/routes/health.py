"""Whether the director lives and does its work; for those who watch it, without a token."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from api.daemon import Daemon
from api.rendering import json_response
from api.schemas.answers import Check, Health, Readiness
from lvsctl.director.daemon import TIMER_S
from lvsctl.director.problems import Component, DirectorProblem
from lvsctl.director.reconcile.cycle import KernelView

router = APIRouter(tags=["health"])

OVERDUE_S = 6 * TIMER_S
"""A cycle of ten thousand operations takes less; after so long without one the loop hangs."""


@router.get("/healthz", summary="Is it up?", response_model=Health, openapi_extra={"security": []})
async def healthz(daemon: Daemon) -> Response:
    """The process answers."""
    return json_response({"status": "up", "director": daemon.name})


@router.get(
    "/readyz",
    summary="Does it do its work?",
    response_model=Readiness,
    responses={
        HTTPStatus.SERVICE_UNAVAILABLE.value: {
            "model": Readiness,
            "description": "It does not; the checks say what is missing.",
        }
    },
    openapi_extra={"security": []},
)
async def readyz(daemon: Daemon) -> Response:
    """Cycles run, the kernel can be compared, and the disk takes what has to be written.

    No VIP depends on it: disks fill on all directors at the same time.
    """
    answer = readiness(daemon.view, daemon.problems, daemon.cycle_age_s)
    return json_response(
        answer, HTTPStatus.OK if answer["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
    )


def readiness(
    view: KernelView, problems: Mapping[Component, DirectorProblem], cycle_age_s: float | None
) -> Readiness:
    """Judge by what the cycles so far have shown, and by what is wrong with the director itself."""
    checks: list[Check] = [
        {"name": "cycle", "detail": (problem := _cycle_problem(cycle_age_s)), "ok": not problem},
        {"name": "kernel", "detail": view.error, "ok": not view.error},
        *(_component_check(component, problems.get(component)) for component in Component),
    ]
    return {"ready": all(check["ok"] for check in checks), "checks": checks}


def _component_check(component: Component, problem: DirectorProblem | None) -> Check:
    if problem is None:
        return {"name": component.value, "detail": "", "ok": True}
    return {"name": component.value, "detail": problem.detail, "ok": not problem.hinders}


def _cycle_problem(age_s: float | None) -> str:
    if age_s is None:
        return "the first cycle has not ended yet"
    return f"the last cycle ended {int(age_s)} s ago" if age_s > OVERDUE_S else ""
