"""Whatever somebody else changes in the table, the next comparison of everything puts it right.

In memory here; against the kernel, over netlink, in the lab.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lvsctl.director.reconcile.cycle import KernelView
from lvsctl.director.reconcile.probe_services import ProbeServices
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.reconcile.resync import SLICE_S
from lvsctl.director.vips.neighbours import NoNeighbours
from lvsctl.director.vips.placements import open_placements
from lvsctl.farm.compile import compile_farm
from lvsctl.host.memory import MemoryHost
from lvsctl.ipvs.factory import open_ipvs
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    Encapsulation,
    ForwardingMethod,
    FwmarkKey,
    Operation,
    Persistence,
    ServiceFlag,
    ServiceKey,
    TunnelFlag,
    TunnelType,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IpProtocol
from lvsctl.results import Done
from lvsctl.store.memory import MemoryLocalState
from tests.unit.director.farms import OTHER_VIP, WEB_KEY, pool, rip, state, web

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MARKED = replace(web(OTHER_VIP), name="marked", protocol=None, ports=(), fwmark=7)
FARM = state([web(persistence=Persistence(300, 32)), MARKED], [pool(1, 2)])
MARK = FwmarkKey(Family.IPV4, 7)
TABLE = compile_farm(FARM.farm, FARM.status)
OURS: Sequence[ServiceKey] = (WEB_KEY, MARK)
THEIRS = AddressKey(IpProtocol.TCP, OTHER_VIP, 8080)


class Clock:
    """Every time somebody looks, a whole slice is over."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += SLICE_S
        return self.now_s


class Bench:
    """A reconciler whose slices are as short as can be."""

    def __init__(self, ipvs: Ipvs) -> None:
        for key in ipvs.snapshot():
            ipvs.apply([DeleteService(key)])
        host, local = MemoryHost(sysctls={}), MemoryLocalState()
        self.ipvs = ipvs
        self.reconciler = Reconciler(
            ipvs,
            host,
            open_placements(host, NoNeighbours(), local),
            ProbeServices(ipvs, host, local, lambda: NOON),
            local,
            take_sysctls=False,
            monotonic=Clock(),
        )
        self.view = KernelView().after(self.reconciler.cycle(FARM, None, ""), NOON)
        assert TABLE == ipvs.snapshot()
        self.resync()

    def resync(self, *between: Operation) -> int:
        """Compare everything, with somebody else's operations between the first two slices.

        Returns:
            How many operations were necessary.
        """
        resync = self.reconciler.begin_resync()
        slices = 1
        while not resync.advance(FARM):
            if slices == 1:
                self.ipvs.apply(between)
            slices += 1
        assert slices > len(OURS)
        cycle = self.reconciler.finish_resync(resync, FARM, "", whatever_was_written=False)
        assert cycle is not None
        assert cycle.is_complete
        self.view = self.view.after(cycle, NOON)
        return len([each for each in cycle.results if each[1] == Done()])


@pytest.fixture(params=["memory", pytest.param("netlink", marks=pytest.mark.kernel)])
def ipvs(request: pytest.FixtureRequest) -> Iterator[Ipvs]:
    with ExitStack() as stack:
        if request.param != "memory":
            stack.enter_context(request.getfixturevalue("node")("lb1").enter())
        yield stack.enter_context(closing(open_ipvs(request.param)))


encapsulations = st.sampled_from(
    [
        Encapsulation(),
        Encapsulation(TunnelType.GRE),
        Encapsulation(TunnelType.GRE, 0, TunnelFlag.CHECKSUM),
        Encapsulation(TunnelType.GUE, 6080),
        Encapsulation(TunnelType.GUE, 6081),
        Encapsulation(TunnelType.GUE, 6080, TunnelFlag.CHECKSUM),
    ]
)
service_configs = st.builds(
    VirtualServiceConfig,
    st.sampled_from(["rr", "wlc", "mh"]),
    st.sampled_from([ServiceFlag(0), ServiceFlag.SCHED1, ServiceFlag.SCHED2]),
    st.none()
    | st.builds(
        Persistence, st.sampled_from([300, 301]), st.sampled_from([32, 24]), st.sampled_from([""])
    ),
)
destination_configs = st.builds(
    DestinationConfig,
    st.integers(0, 200),
    encapsulation=encapsulations,
    upper_threshold=st.integers(10, 12),
    lower_threshold=st.integers(0, 2),
)
destinations = st.tuples(st.sampled_from(OURS), st.integers(1, 3)).map(
    lambda each: (each[0], DestinationKey(rip(each[1]), 80 if each[0] == WEB_KEY else 0))
)
operations = st.one_of(
    st.builds(EditService, st.sampled_from(OURS), service_configs),
    st.builds(DeleteService, st.sampled_from(OURS)),
    st.builds(AddService, st.sampled_from(OURS), service_configs),
    destinations.map(lambda each: DeleteDestination(*each)),
    st.builds(
        lambda each, config: AddDestination(*each, config), destinations, destination_configs
    ),
    st.builds(
        lambda each, config: EditDestination(*each, config), destinations, destination_configs
    ),
)

OUR_SERVICE = TABLE[WEB_KEY].config
(OUR_KEY, OUR_DESTINATION), *_ = TABLE[WEB_KEY].destinations.items()
ONE_FIELD: dict[str, Operation] = {
    "scheduler": EditService(WEB_KEY, replace(OUR_SERVICE, scheduler="wlc")),
    "flags": EditService(WEB_KEY, replace(OUR_SERVICE, flags=ServiceFlag.SCHED1)),
    "persistence": EditService(WEB_KEY, replace(OUR_SERVICE, persistence=None)),
    "persistence.timeout_s": EditService(
        WEB_KEY, replace(OUR_SERVICE, persistence=Persistence(301, 32))
    ),
    "persistence.prefix_length": EditService(
        WEB_KEY, replace(OUR_SERVICE, persistence=Persistence(300, 24))
    ),
    "persistence.engine": EditService(
        WEB_KEY, replace(OUR_SERVICE, persistence=Persistence(300, 32, "sip"))
    ),
    "weight": EditDestination(WEB_KEY, OUR_KEY, replace(OUR_DESTINATION, weight=1)),
    "encapsulation.type": EditDestination(
        WEB_KEY, OUR_KEY, replace(OUR_DESTINATION, encapsulation=Encapsulation(TunnelType.GRE))
    ),
    "encapsulation.port": EditDestination(
        WEB_KEY,
        OUR_KEY,
        replace(OUR_DESTINATION, encapsulation=Encapsulation(TunnelType.GUE, 6080)),
    ),
    "encapsulation.flags": EditDestination(
        WEB_KEY,
        OUR_KEY,
        replace(
            OUR_DESTINATION, encapsulation=Encapsulation(TunnelType.GRE, 0, TunnelFlag.CHECKSUM)
        ),
    ),
    "upper_threshold": EditDestination(
        WEB_KEY, OUR_KEY, replace(OUR_DESTINATION, upper_threshold=5)
    ),
    "lower_threshold": EditDestination(
        WEB_KEY, OUR_KEY, replace(OUR_DESTINATION, upper_threshold=5, lower_threshold=2)
    ),
}


def test_every_field_is_among_them() -> None:
    """But forwarding, which has a test of its own."""
    of_services = {each.name for each in fields(VirtualServiceConfig)}
    of_destinations = {each.name for each in fields(DestinationConfig)} - {"forwarding"}
    assert of_services | of_destinations == {each.partition(".")[0] for each in ONE_FIELD}
    for kind in (Persistence, Encapsulation):
        inner = {each.name for each in fields(kind)}
        assert inner == {
            each.partition(".")[2]
            for each in ONE_FIELD
            if each.startswith(f"{kind.__name__.lower()}.")
        }


def test_each_field_alone_is_put_right(ipvs: Ipvs) -> None:
    """By the next comparison, with one operation; the one after it has nothing to do."""
    bench = Bench(ipvs)
    for name, operation in ONE_FIELD.items():
        assert [Done()] == [*ipvs.apply([operation])], name
        assert TABLE != ipvs.snapshot(), name
        assert 1 == bench.resync(), name
        assert TABLE == ipvs.snapshot(), name
    assert 0 == bench.resync()


def test_another_forwarding_method_is_put_right(ipvs: Ipvs) -> None:
    """In place too, as the kernel takes it."""
    bench = Bench(ipvs)
    routed = replace(OUR_DESTINATION, forwarding=ForwardingMethod.DIRECT_ROUTE, encapsulation=None)
    ipvs.apply([EditDestination(WEB_KEY, OUR_KEY, routed)])
    assert TABLE != ipvs.snapshot()
    bench.resync()
    assert TABLE == ipvs.snapshot()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=st.lists(operations, max_size=5), between=st.lists(operations, max_size=5))
@example(before=[DeleteService(WEB_KEY)], between=[])
@example(before=[], between=[DeleteService(WEB_KEY), DeleteService(MARK)])
def test_whatever_changed_is_put_right(
    ipvs: Ipvs, before: list[Operation], between: list[Operation]
) -> None:
    """Before a comparison by it, during one by the next; nothing foreign is touched."""
    bench = Bench(ipvs)
    theirs = AddService(THEIRS, VirtualServiceConfig("rr"))
    ipvs.apply([*before, theirs])
    bench.resync(*between)
    bench.resync()
    observed = ipvs.snapshot()
    conflicts = {key for key, view in bench.view.services.items() if view.reason}
    assert {key: each for key, each in TABLE.items() if key not in conflicts} == {
        key: each for key, each in observed.items() if key not in conflicts | {THEIRS}
    }
    assert not conflicts
    assert (THEIRS,) == bench.view.foreign
    assert THEIRS in observed
