"""The director's kernel: its IPVS table, and how it differs from the desired state."""

from fastapi import APIRouter
from starlette.responses import Response

from api.daemon import Daemon
from api.reason_views import because, reason_item
from api.rendering import large_response
from api.schemas.answers import PlanAnswer
from api.schemas.table import Table
from api.table_view import table_document
from lvsctl.director.reconcile.cycle import Cycle

router = APIRouter(tags=["kernel"])


@router.get("/table", summary="Show the kernel's table", response_model=Table)
async def get_table(daemon: Daemon) -> Response:
    """Every virtual service with counters and rates; ``service`` is null for foreign ones."""
    reading = await daemon.table()
    return await large_response(lambda: table_document(reading))


@router.get("/plan", summary="Show differences", response_model=PlanAnswer)
async def get_plan(daemon: Daemon) -> Response:
    """Compare everything now, without writing: drift, conflicts, foreign services, problems."""
    cycle = await daemon.plan()
    return await large_response(lambda: plan_document(cycle))


def plan_document(cycle: Cycle) -> PlanAnswer:
    """Return the document of a cycle that observed everything and wrote nothing."""
    return {
        "revision": cycle.revision,
        "operations": [*map(str, cycle.operations)],
        "host_changes": [*map(str, cycle.host_changes)],
        "conflicts": [
            {"key": str(key), "service": view.service, **because(view.reason)}
            for key in cycle.conflicts
            for view in [cycle.services[key]]
        ],
        "foreign": [*map(str, cycle.foreign)],
        "problems": [
            *(f"VIP {vip}: {why}" for vip, why in cycle.vip_problems.items()),
            *map(str, cycle.host_problems),
        ],
        "problem_reasons": [
            *map(reason_item, cycle.vip_problems.values()),
            *map(reason_item, cycle.host_problems),
        ],
    }
