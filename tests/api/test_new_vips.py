"""A VIP that is new on the links, from the write to the answer of the neighbours."""

from anyio.from_thread import BlockingPortal
from fastapi import FastAPI

from lvsctl.director.reconcile.cycle import KeyState
from lvsctl.reasons.services import DUPLICATE_CHECK
from tests.api.bench import EXAMPLE, Bench, open_bench
from tests.support.neighbours import SlowNeighbours

LONGER_THAN_ANY_CYCLE_S = 4
"""Less than the timer, which would compare everything without a wake."""


def until_all_are(bench: Bench, state: KeyState) -> set[tuple[KeyState, str]]:
    """Wait until every virtual service is in a state; return states and codes of reasons."""

    async def wait() -> set[tuple[KeyState, str]]:
        loop = bench.daemon.loop
        await loop.wait_until(
            lambda: (
                bool(loop.view.services)
                and all(view.state is state for view in loop.view.services.values())
            ),
            LONGER_THAN_ANY_CYCLE_S,
        )
        return {
            (view.state, view.reason.code if view.reason else "")
            for view in loop.view.services.values()
        }

    return bench.portal.call(wait)


def test_a_service_is_applied_as_soon_as_the_neighbours_have_answered(
    portal: BlockingPortal, app: FastAPI
) -> None:
    """Until then it is pending, which is no problem of the VIP; the answer wakes the director."""
    neighbours = SlowNeighbours()
    with open_bench(portal, neighbours) as bench:
        app.state.daemon, bench.app = bench.daemon, app
        with bench.running():
            bench.put("/v1/farm", json=EXAMPLE)
            assert {(KeyState.PENDING, DUPLICATE_CHECK.code)} == until_all_are(
                bench, KeyState.PENDING
            )
            assert {} == bench.daemon.loop.view.vips

            neighbours.answer()

            assert {(KeyState.APPLIED, "")} == until_all_are(bench, KeyState.APPLIED)
