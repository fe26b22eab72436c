"""The rules of a farm: each refuses what breaks it, at the place where it is broken."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.errors import Problem
from lvsctl.farm.model import (
    DEFAULT_SYSCTLS,
    Director,
    Farm,
    MarkRange,
    Pool,
    PortRange,
    RealServer,
    Service,
    Settings,
)
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.rules.changes import drastic
from lvsctl.farm.rules.farm import (
    MAX_MARK,
    MAX_NAMED,
    SCHEDULER_FLAGS,
    SCHEDULERS,
    SYSCTL_RANGES,
    broken_rules,
)
from lvsctl.farm.rules.table_size import MAX_DESTINATIONS
from lvsctl.farm.status import Agent
from lvsctl.ipvs.table import Persistence
from lvsctl.messages.model import Membership
from lvsctl.net import IpProtocol
from tests.unit import strategies

VIP = ip_address("198.51.100.10")
RIPS = [ip_address(f"192.0.2.{n}") for n in (11, 12, 13)]
WEB = Service("web", VIP, "web", ports=(80, 443))
MARKED = Service("web", VIP, "web", protocol=None, fwmark=7)
RS1, RS2, RS3 = (RealServer(f"rs{n}", address) for n, address in enumerate(RIPS, 1))
POOL = Pool("web", real_servers=(RS1, RS2))
LB1 = Director("lb1", (ip_address("192.0.2.10"),))


def farm(
    *services: Service,
    pools: Iterable[Pool] = (POOL,),
    directors: Iterable[Director] = (LB1,),
    settings: Settings | None = None,
) -> Farm:
    """Return a farm, good where nothing is said."""
    return Farm(
        {service.name: service for service in services or (WEB,)},
        {pool.name: pool for pool in pools},
        {director.name: director for director in directors},
        settings or Settings(),
    )


def service(base: Service = WEB, **changes: object) -> Farm:
    """Return a farm whose service is changed."""
    return farm(replace(base, **changes))


def pool(*servers: RealServer) -> Farm:
    """Return a farm whose pool has these servers."""
    return farm(pools=[Pool("web", real_servers=servers)])


def server(**changes: object) -> Farm:
    """Return a farm whose second server is changed."""
    return pool(RS1, replace(RS2, **changes))


def settings(**changes: object) -> Farm:
    """Return a farm with these settings."""
    return farm(settings=replace(Settings(), **changes))


AT_WEB = ObjectId(Kind.SERVICE, "web")
AT_POOL = ObjectId(Kind.POOL, "web")
AT_DIRECTORS = ObjectId(Kind.DIRECTORS)
AT_SETTINGS = ObjectId(Kind.SETTINGS)

BAD_FARMS: Mapping[str, tuple[Farm, ObjectId, str, str]] = {
    # sentence: farm, object, pointer, part of the detail
    "an empty name": (
        farm(replace(WEB, name="")),
        ObjectId(Kind.SERVICE),
        "/name",
        "'' is not a name",
    ),
    "a name with a slash": (
        farm(replace(WEB, name="a/b")),
        ObjectId(Kind.SERVICE, "a/b"),
        "/name",
        "not a name",
    ),
    "a name that ends in a newline": (
        farm(replace(WEB, name="web\n")),
        ObjectId(Kind.SERVICE, "web\n"),
        "/name",
        "not a name",
    ),
    "a name of 64 letters": (
        farm(replace(WEB, name="a" * 64)),
        ObjectId(Kind.SERVICE, "a" * 64),
        "/name",
        "not a name",
    ),
    "a pool's name with a space": (
        farm(replace(WEB, pool="a b"), pools=[Pool("a b")]),
        ObjectId(Kind.POOL, "a b"),
        "/name",
        "not a name",
    ),
    "a server's name of dots": (server(name=".."), AT_POOL, "/real_servers/1/name", "not a name"),
    "a director's name with a letter of another script": (
        farm(directors=[replace(LB1, name="lbä")]),
        AT_DIRECTORS,
        "/0/name",
        "not a name",
    ),
    "the unspecified address as a VIP": (
        service(vip=ip_address("0.0.0.0")),  # noqa: S104 - nothing listens there
        AT_WEB,
        "/vip",
        "is the unspecified address",
    ),
    "an address of no network as a VIP": (
        service(vip=ip_address("0.1.2.3")),
        AT_WEB,
        "/vip",
        "is an address of 'this network'",
    ),
    "a loopback address as a VIP": (
        service(vip=ip_address("127.0.0.1")),
        AT_WEB,
        "/vip",
        "is a loopback address",
    ),
    "a multicast address as a VIP": (
        service(vip=ip_address("224.0.0.18")),
        AT_WEB,
        "/vip",
        "is a multicast address",
    ),
    "a link-local address as a VIP": (
        service(vip=ip_address("169.254.1.1")),
        AT_WEB,
        "/vip",
        "is a link-local address",
    ),
    "the broadcast address as a VIP": (
        service(vip=ip_address("255.255.255.255")),
        AT_WEB,
        "/vip",
        "is a reserved address",
    ),
    "an IPv4 address written as IPv6 as a VIP": (
        service(vip=ip_address("::ffff:198.51.100.10")),
        AT_WEB,
        "/vip",
        "is 198.51.100.10 written as IPv6",
    ),
    "a site-local VIP": (
        service(vip=ip_address("fec0::10")),
        AT_WEB,
        "/vip",
        "is a site-local address",
    ),
    "the IPv6 loopback address as a RIP": (
        server(address=ip_address("::1")),
        AT_POOL,
        "/real_servers/1/address",
        "is a loopback address",
    ),
    "a loopback address as a RIP": (
        server(address=ip_address("127.0.0.2")),
        AT_POOL,
        "/real_servers/1/address",
        "is a loopback address",
    ),
    "a multicast address as a DIP": (
        farm(directors=[Director("lb1", (LB1.addresses[0], ip_address("224.0.0.1")))]),
        AT_DIRECTORS,
        "/0/addresses/1",
        "is a multicast address",
    ),
    "neither ports nor a mark": (service(ports=()), AT_WEB, "/ports", "needs ports, or a fwmark"),
    "ports without a protocol": (service(protocol=None), AT_WEB, "/protocol", "needs a protocol"),
    "port 0": (service(ports=(80, 0)), AT_WEB, "/ports/1", "0 is out of range"),
    "port 65536": (service(ports=(65536,)), AT_WEB, "/ports/0", "65536 is out of range"),
    "a negative port": (service(ports=(-1,)), AT_WEB, "/ports/0", "-1 is out of range"),
    "ports and a mark": (service(MARKED, ports=(80,)), AT_WEB, "/ports", "not both"),
    "a mark with a protocol": (
        service(MARKED, protocol=IpProtocol.TCP),
        AT_WEB,
        "/protocol",
        "every protocol",
    ),
    "mark 0": (service(MARKED, fwmark=0), AT_WEB, "/fwmark", "0 is out of range"),
    "a mark of 33 bits": (service(MARKED, fwmark=1 << 32), AT_WEB, "/fwmark", "out of range"),
    "a mark kept for health checks": (
        service(MARKED, fwmark=0x4C560001),
        AT_WEB,
        "/fwmark",
        "is in the range 0x4c560000-0x4c56ffff",
    ),
    "an unknown scheduler": (service(scheduler="foo"), AT_WEB, "/scheduler", "'foo' is no"),
    "a scheduler in capitals": (service(scheduler="RR"), AT_WEB, "/scheduler", "'RR' is no"),
    "a flag of another scheduler": (
        service(scheduler="sh", flags=frozenset({"mh-port"})),
        AT_WEB,
        "/flags",
        "sh over tcp has no flag 'mh-port'",
    ),
    "a flag of a scheduler without flags": (
        service(flags=frozenset({"sh-port"})),
        AT_WEB,
        "/flags",
        "wlc over tcp has no flag 'sh-port'",
    ),
    "one-packet scheduling of TCP": (
        service(flags=frozenset({"ops"})),
        AT_WEB,
        "/flags",
        "wlc over tcp has no flag 'ops'",
    ),
    "persistence of no time": (
        service(persistence=Persistence(0, 32)),
        AT_WEB,
        "/persistence/timeout",
        "0 s is out of range",
    ),
    "persistence of 32 days": (
        service(persistence=Persistence(32 * 86400, 32)),
        AT_WEB,
        "/persistence/timeout",
        "out of range",
    ),
    "persistence of the whole world": (
        service(persistence=Persistence(300, 0)),
        AT_WEB,
        "/persistence/netmask",
        "0 is out of range",
    ),
    "a netmask of 33 bits": (
        service(persistence=Persistence(300, 33)),
        AT_WEB,
        "/persistence/netmask",
        "33 is out of range",
    ),
    "an unknown pool": (service(pool="mail"), AT_WEB, "/pool", "there is no pool 'mail'"),
    "no pool at all": (farm(pools=[]), AT_WEB, "/pool", "there is no pool 'web'"),
    "a negative weight": (server(weight=-1), AT_POOL, "/real_servers/1/weight", "-1 is out of"),
    "a weight of 65536": (server(weight=65536), AT_POOL, "/real_servers/1/weight", "65536 is out"),
    "a threshold of 33 bits": (
        server(upper_threshold=1 << 32),
        AT_POOL,
        "/real_servers/1/upper_threshold",
        "out of range",
    ),
    "a negative threshold": (
        server(lower_threshold=-1),
        AT_POOL,
        "/real_servers/1/lower_threshold",
        "out of range",
    ),
    "thresholds the wrong way round": (
        server(upper_threshold=10, lower_threshold=11),
        AT_POOL,
        "/real_servers/1/lower_threshold",
        "11 is above upper_threshold 10",
    ),
    "two servers of one name": (
        pool(RS1, replace(RS2, name="rs1")),
        AT_POOL,
        "/real_servers/1/name",
        "another real server 'rs1'",
    ),
    "two servers of one address": (
        pool(RS1, replace(RS2, address=RS1.address)),
        AT_POOL,
        "/real_servers/1/address",
        "is also the address of rs1",
    ),
    "one address of two directors": (
        farm(directors=[LB1, Director("lb2", LB1.addresses)]),
        AT_DIRECTORS,
        "/1/addresses/0",
        "already an address of director lb1",
    ),
    "a timeout of no time": (
        settings(tcp_timeout_s=0),
        AT_SETTINGS,
        "/timeouts/tcp",
        "0 s is out of range",
    ),
    "a FIN timeout of 32 days": (
        settings(tcp_fin_timeout_s=32 * 86400),
        AT_SETTINGS,
        "/timeouts/tcp_fin",
        "out of range",
    ),
    "a negative UDP timeout": (
        settings(udp_timeout_s=-1),
        AT_SETTINGS,
        "/timeouts/udp",
        "-1 s is out of range",
    ),
    "a sysctl that is the operator's": (
        settings(sysctls={"conntrack": 1}),
        AT_SETTINGS,
        "/sysctls/conntrack",
        "does not set net.ipv4.vs.conntrack",
    ),
    "a sysctl elsewhere": (
        settings(sysctls={"../ip_forward": 0}),
        AT_SETTINGS,
        "/sysctls/..~1ip_forward",
        "does not set",
    ),
    "a sysctl's value out of its range": (
        settings(sysctls={"sloppy_tcp": 2}),
        AT_SETTINGS,
        "/sysctls/sloppy_tcp",
        "2 is out of range",
    ),
    "probe marks from 0": (
        settings(probe_marks=MarkRange(0, 9)),
        AT_SETTINGS,
        "/probe_marks",
        "0 is out of range",
    ),
    "probe marks backwards": (
        settings(probe_marks=MarkRange(9, 8)),
        AT_SETTINGS,
        "/probe_marks",
        "8 is out of range",
    ),
    "probe marks of 33 bits": (
        settings(probe_marks=MarkRange(1, 1 << 32)),
        AT_SETTINGS,
        "/probe_marks",
        "out of range",
    ),
    "probe ports that programs listen on": (
        settings(probe_ports=PortRange(1023, 2000)),
        AT_SETTINGS,
        "/probe_ports",
        "1023 is out of range",
    ),
    "probe ports backwards": (
        settings(probe_ports=PortRange(61000, 60999)),
        AT_SETTINGS,
        "/probe_ports",
        "60999 is out of range",
    ),
    "probe ports of 17 bits": (
        settings(probe_ports=PortRange(61000, 65536)),
        AT_SETTINGS,
        "/probe_ports",
        "65536 is out of range",
    ),
    "one port twice in a service": (
        service(ports=(80, 443, 80)),
        AT_WEB,
        "/ports/2",
        "tcp 198.51.100.10:80 already belongs to service web",
    ),
    "one VIP and port in two services": (
        farm(WEB, replace(WEB, name="shop", ports=(8080, 443))),
        ObjectId(Kind.SERVICE, "shop"),
        "/ports/1",
        "tcp 198.51.100.10:443 already belongs to service web",
    ),
    "one mark in two services": (
        farm(MARKED, replace(MARKED, name="shop", vip=ip_address("198.51.100.11"))),
        ObjectId(Kind.SERVICE, "shop"),
        "/fwmark",
        "fwmark 7 already belongs to service web",
    ),
    "a VIP that is a real server's": (
        service(vip=RIPS[0]),
        AT_WEB,
        "/vip",
        "is the address of real server web/rs1",
    ),
    "a VIP that is a director's": (
        service(vip=LB1.addresses[0]),
        AT_WEB,
        "/vip",
        "is the address of director lb1",
    ),
    "a real server that is a director": (
        server(address=LB1.addresses[0]),
        AT_POOL,
        "/real_servers/1/address",
        "is the address of director lb1",
    ),
}


@pytest.mark.parametrize(
    ("bad", "at", "pointer", "detail"), BAD_FARMS.values(), ids=BAD_FARMS.keys()
)
def test_a_bad_farm_is_refused(bad: Farm, at: ObjectId, pointer: str, detail: str) -> None:
    """There is one problem, at the one thing that is wrong, and it says what is allowed."""
    ((object_id, problem),) = broken_rules(bad, {})
    assert (at, pointer) == (object_id, problem.pointer)
    assert detail in problem.detail
    assert problem.allowed


GOOD_FARMS: Mapping[str, Farm] = {
    "nothing at all": Farm(),
    "a service and its pool": farm(),
    "a name of one letter": farm(replace(WEB, name="a")),
    "a name of 63 letters": farm(replace(WEB, name="a" * 63)),
    "a name with dots and dashes": farm(replace(WEB, name="www.example-1_a")),
    "a private VIP": service(vip=ip_address("10.0.0.1")),
    "ports 1 and 65535": service(ports=(1, 65535)),
    "one port over TCP and UDP": farm(WEB, replace(WEB, name="dns", protocol=IpProtocol.UDP)),
    "two VIPs on one port": farm(WEB, replace(WEB, name="b", vip=ip_address("198.51.100.11"))),
    "a VIP with ports and with a mark": farm(WEB, replace(MARKED, name="marked")),
    "marks 1 and the highest": farm(
        replace(MARKED, fwmark=1), replace(MARKED, name="b", fwmark=MAX_MARK)
    ),
    "one-packet scheduling of UDP": service(
        protocol=IpProtocol.UDP, flags=frozenset({"ops"}), scheduler="rr"
    ),
    "one-packet scheduling under a mark": service(MARKED, flags=frozenset({"ops"})),
    "no flags asked for": service(scheduler="mh", flags=frozenset()),
    "persistence of a network for 31 days": service(persistence=Persistence(31 * 86400, 1)),
    "weights 0 and 65535": pool(replace(RS1, weight=0), replace(RS2, weight=65535)),
    "an upper threshold alone": server(upper_threshold=100),
    "equal thresholds": server(upper_threshold=100, lower_threshold=100),
    "a pool without servers": pool(),
    "a pool that no service uses": farm(pools=[POOL, Pool("mail")]),
    "a server in two pools": farm(pools=[POOL, replace(POOL, name="mail")]),
    "a server under two names": farm(
        pools=[POOL, Pool("mail", real_servers=(replace(RS1, name="rs9"),))]
    ),
    "two services on one pool": farm(WEB, replace(WEB, name="b", ports=(8080,))),
    "no directors": farm(directors=[]),
    "a director of two addresses": farm(
        directors=[Director("lb1", (LB1.addresses[0], ip_address("203.0.113.1")))]
    ),
    "timeouts of 1 second and 31 days": settings(tcp_timeout_s=31 * 86400, udp_timeout_s=1),
    "another range of probe marks": settings(probe_marks=MarkRange(0x100, 0x1FF)),
    "a mark once kept for health checks": farm(
        replace(MARKED, fwmark=0x4C560001),
        settings=Settings(probe_marks=MarkRange(0x100, 0x1FF)),
    ),
    "every sysctl at its highest": settings(
        sysctls={name: high for name, (_, high) in SYSCTL_RANGES.items()}
    ),
}


@pytest.mark.parametrize("good", GOOD_FARMS.values(), ids=GOOD_FARMS.keys())
def test_a_good_farm_is_accepted(good: Farm) -> None:
    """No rule forbids what works."""
    assert [] == list(broken_rules(good, {}))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_is_accepted_with_all_its_flags(scheduler: str) -> None:
    """And in a service that names no flags."""
    flags = frozenset(SCHEDULER_FLAGS.get(scheduler, ()))
    both = farm(
        replace(WEB, scheduler=scheduler, flags=flags),
        replace(WEB, name="b", ports=(8080,), scheduler=scheduler),
    )
    assert [] == list(broken_rules(both, {}))


def test_every_bad_thing_is_reported_at_once() -> None:
    """A person mends a file once, not once for each mistake."""
    bad = farm(
        replace(WEB, scheduler="foo", ports=(0, 70000)),
        pools=[Pool("web", real_servers=(replace(RS1, weight=-1),))],
        settings=Settings(sysctls={"conntrack": 1}),
    )
    assert [
        (AT_WEB, "/ports/0"),
        (AT_WEB, "/ports/1"),
        (AT_WEB, "/scheduler"),
        (AT_POOL, "/real_servers/0/weight"),
        (AT_SETTINGS, "/sysctls/conntrack"),
    ] == [(object_id, problem.pointer) for object_id, problem in broken_rules(bad, {})]


GATEWAY = {ip_address("192.0.2.1"): "the gateway on eth0"}
AGENT = Agent("rs9", ip_address("192.0.2.19"), ("web",), 100)


@pytest.mark.parametrize(
    ("bad", "agents", "expected"),
    [
        (
            service(vip=ip_address("192.0.2.1")),
            (),
            (AT_WEB, "/vip", "192.0.2.1 is the address of the gateway on eth0"),
        ),
        (
            server(address=ip_address("192.0.2.1")),
            (),
            (
                AT_POOL,
                "/real_servers/1/address",
                "192.0.2.1 is the address of the gateway on eth0",
            ),
        ),
        (
            service(vip=AGENT.address),
            (AGENT,),
            (AT_WEB, "/vip", "192.0.2.19 is the address of agent rs9"),
        ),
        (
            farm(),
            (replace(AGENT, address=LB1.addresses[0]),),
            (
                ObjectId(Kind.AGENT, "rs9"),
                "/address",
                "192.0.2.10 is the address of director lb1",
            ),
        ),
    ],
)
def test_addresses_in_use_outside_the_farm_are_refused(
    bad: Farm, agents: tuple[Agent, ...], expected: tuple[ObjectId, str, str]
) -> None:
    """No VIP or RIP is the director's own, its gateway's or an agent's."""
    ((object_id, problem),) = broken_rules(bad, GATEWAY, agents)
    assert expected == (object_id, problem.pointer, problem.detail)


def test_an_agent_at_a_declared_address_is_no_second_meaning() -> None:
    """It is that server's agent."""
    assert [] == list(broken_rules(farm(), GATEWAY, [replace(AGENT, address=RIPS[0])]))


@pytest.mark.parametrize(
    ("bad", "pointer"),
    [
        (replace(AGENT, name="rs/9"), "/name"),
        (replace(AGENT, name="rs9\n"), "/name"),
        (replace(AGENT, address=ip_address("127.0.0.1")), "/address"),
        (replace(AGENT, address=ip_address("fe80::9")), "/address"),
        (replace(AGENT, weight=-1), "/weight"),
        (replace(AGENT, weight=65536), "/weight"),
    ],
)
def test_an_agent_keeps_to_the_rules_of_a_real_server(bad: Agent, pointer: str) -> None:
    """It becomes a destination in the kernel like any other."""
    ((object_id, problem),) = broken_rules(farm(), {}, [bad])
    assert (ObjectId(Kind.AGENT, bad.name), pointer) == (object_id, problem.pointer)


def test_a_server_is_not_named_like_an_agent_elsewhere() -> None:
    """A server is known by its pool and name: there cannot be two at different addresses."""
    ((object_id, problem),) = broken_rules(farm(), {}, [replace(AGENT, name="rs2")])
    assert (AT_POOL, "/real_servers/1/name") == (object_id, problem.pointer)


def test_an_agent_that_has_left_does_not_keep_its_name() -> None:
    """Its server is gone, and another may be declared."""
    left = replace(AGENT, name="rs2", membership=Membership.LEFT)
    assert [] == list(broken_rules(farm(), {}, [left]))


def test_the_sysctls_that_lvsctl_sets_are_within_their_ranges() -> None:
    """A default is a value that a person could have written."""
    assert [] == list(broken_rules(farm(settings=Settings(sysctls=DEFAULT_SYSCTLS)), {}))


def test_an_ipv6_address_is_judged_by_its_nature_first() -> None:
    """The unspecified address is refused as that in both families."""
    ((_, problem),) = broken_rules(service(vip=ip_address("::")), {})
    assert ":: is the unspecified address" == problem.detail


def test_a_message_names_some_of_many_pools() -> None:
    """A hundred services with a wrong pool must not list ten thousand pools each."""
    many = [Pool(f"p{number}") for number in range(MAX_NAMED + 5)]
    (problem,) = [problem for _, problem in broken_rules(farm(pools=many), {})]
    assert problem.allowed.startswith("p0, p1, ")
    assert problem.allowed.endswith(f"p{MAX_NAMED - 1} and 5 more")


@pytest.mark.parametrize("too_many", [False, True])
def test_a_table_that_no_memory_holds_is_refused(*, too_many: bool) -> None:
    """Services times ports times servers: a few megabytes of farm can stand for billions."""
    servers = [RealServer(f"s{n}", ip_address(0x0A000001 + n)) for n in range(1000)]
    ports = MAX_DESTINATIONS // len(servers)
    one = replace(WEB, ports=tuple(range(1, ports)))
    other = replace(
        WEB, name="other", vip=ip_address("198.51.100.11"), ports=(1, 2)[: 1 + too_many]
    )
    found = list(broken_rules(farm(one, other, pools=[Pool("web", real_servers=servers)]), {}))
    expected = [(ObjectId(Kind.SERVICE, "other"), f"up to {MAX_DESTINATIONS} in all")]
    assert expected * too_many == [(at, problem.allowed) for at, problem in found]


# --- drastic changes ------------------------------------------------------------------------


def services(count: int) -> list[Service]:
    """Return so many services."""
    return [replace(WEB, name=f"s{n}", ports=(8000 + n,)) for n in range(count)]


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        (farm(*services(4)), farm(*services(2)), []),
        (farm(*services(4)), farm(services(4)[0]), ["it removes 3 of 4 services"]),
        (farm(), Farm(), ["it removes 1 of 1 services"]),
        (Farm(), farm(), []),
        (Farm(), Farm(), []),
        (farm(), pool(RS1), []),
        (farm(), pool(RS2, RS3), []),
        (farm(), pool(), ["service web loses all 2 of its declared real servers"]),
        (farm(), pool(RS3), ["service web loses all 2 of its declared real servers"]),
        (pool(), farm(), []),
        (farm(), pool(replace(RS1, name="renamed", weight=0)), []),
        (
            farm(),
            farm(replace(WEB, pool="b"), pools=[POOL, Pool("b", real_servers=(RS3,))]),
            ["service web loses all 2 of its declared real servers"],
        ),
        (farm(), farm(replace(WEB, pool="b"), pools=[replace(POOL, name="b")]), []),
        (
            farm(*services(3)),
            farm(services(3)[0], pools=[Pool("web")]),
            [
                "it removes 2 of 3 services",
                "service s0 loses all 2 of its declared real servers",
            ],
        ),
    ],
)
def test_what_takes_most_of_the_farm_is_drastic(
    before: Farm, after: Farm, reasons: list[str]
) -> None:
    """More than half of the services, or every server of one, needs to be meant."""
    assert reasons == list(drastic(before, after))


@given(strategies.good_farms())
def test_changing_nothing_is_never_drastic(same: Farm) -> None:
    """An apply that changes nothing needs no force."""
    assert [] == list(drastic(same, same))


@given(st.sampled_from(["", "/services/3"]), st.sampled_from(["", "/vip"]))
def test_a_problem_moves_with_its_object(prefix: str, pointer: str) -> None:
    """Seen from the whole document, the pointer begins with the object's place."""
    assert Problem(prefix + pointer, "x", "y") == Problem(pointer, "x", "y").below(prefix)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("/vip", "it is bad", "better ones"), "/vip: it is bad (allowed: better ones)"),
        (Problem("", "it is bad"), "the document: it is bad"),
    ],
)
def test_a_problem_reads_as_a_sentence(problem: Problem, text: str) -> None:
    """With what is allowed where there is something to say."""
    assert text == str(problem)
