"""Restoring links, fou ports, routes and rules."""

from ipaddress import IPv4Address, ip_network

from lvsctl.agent.record import Record, read_record, record_document
from lvsctl.host.baseline import extend, plan_restore
from lvsctl.host.interface import (
    FouPortConfig,
    FouPortKey,
    HostChange,
    HostState,
    LinkConfig,
    LinkKey,
    RouteConfig,
    RouteKey,
    RuleConfig,
    RuleKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.host.plan import changes
from lvsctl.net import Family
from lvsctl.results import Done

GRE = LinkKey("lvs-gre")
PORT, PORT6 = FouPortKey(Family.IPV4, 6080), FouPortKey(Family.IPV6, 6080)
RULE = RuleKey(Family.IPV4, 1000, 100, source=ip_network("198.51.100.10/32"))
ROUTE = RouteKey(100, ip_network("192.0.2.0/24"))
ARP_IGNORE = SysctlKey(("net", "ipv4", "conf", "all", "arp_ignore"))
WANTED: HostState = {
    ARP_IGNORE: SysctlConfig("1"),
    PORT: FouPortConfig(),
    PORT6: FouPortConfig(),
    GRE: LinkConfig(
        "gre",
        up=True,
        local=IPv4Address("192.0.2.11"),
        remote=IPv4Address("192.0.2.10"),
        underlay="eth0",
        key=5,
        checksum=True,
        ttl=64,
    ),
    ROUTE: RouteConfig("eth0", scope=253, advmss=1428),
    RULE: RuleConfig(),
}


def make(host: MemoryHost, todo: tuple[HostChange, ...]) -> None:
    assert [Done()] * len(todo) == list(host.apply(todo))


def test_everything_that_lvsctl_added_is_removed_in_order() -> None:
    """Rules, routes, devices, fou ports, sysctls; also after the record was read from disk."""
    host = MemoryHost([Hardware("eth0")])
    before = host.observe(WANTED)
    found = extend({}, WANTED, before)
    make(host, changes(WANTED, before))
    assert () == changes(WANTED, host.observe(WANTED))
    kept = read_record(record_document(Record("this boot", found))).found
    assert found == kept
    todo = plan_restore(kept, host.observe(kept))
    assert [RULE, ROUTE, GRE, PORT6, PORT, ARP_IGNORE] == [change.key for change in todo]
    make(host, todo)
    assert before == host.observe(WANTED)


def test_a_fou_port_that_existed_is_kept() -> None:
    """Another program opened it in the same way, so it is not closed."""
    host = MemoryHost([Hardware("eth0")])
    make(host, (HostChange(PORT, FouPortConfig()),))
    before = host.observe(WANTED)
    found = extend({}, WANTED, before)
    make(host, changes(WANTED, before))
    make(host, plan_restore(found, host.observe(found)))
    assert before == host.observe(WANTED)


def test_a_link_that_was_recreated_by_another_program_is_kept() -> None:
    """A link with another key is not the one that lvsctl created."""
    host = MemoryHost([Hardware("eth0")])
    found = extend({}, WANTED, host.observe(WANTED))
    make(host, changes(WANTED, host.observe(WANTED)))
    theirs = LinkConfig("gre", up=True, local=IPv4Address("192.0.2.11"), key=7)
    make(host, (HostChange(GRE, None), HostChange(GRE, theirs)))
    make(host, plan_restore(found, host.observe(found)))
    assert (
        LinkConfig("gre", up=True, mtu=1472, local=theirs.local, key=7)
        == (host.observe([GRE])[GRE])
    )
