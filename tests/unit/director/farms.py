"""Small farms for the director's tests."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from lvsctl.director.state import State
from lvsctl.farm.model import Farm, Pool, RealServer, Service, Settings
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.status import Agent, Override, Readiness, ServerId, Status
from lvsctl.ipvs.table import AddressKey, Encapsulation
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress, IpProtocol

VIP = IPv4Address("198.51.100.10")
OTHER_VIP = IPv4Address("198.51.100.20")
WEB_KEY = AddressKey(IpProtocol.TCP, VIP, 80)
WEB_ID = ObjectId(Kind.SERVICE, "web")
POOL_ID = ObjectId(Kind.POOL, "web")


def rip(number: int) -> IPv4Address:
    """Return the address of the real server rsN."""
    return IPv4Address(f"192.0.2.{10 + number}")


def web(vip: IPAddress = VIP, **fields: object) -> Service:
    """Return a service on one port."""
    return replace(Service("web", vip, "web", ports=(80,), scheduler="rr"), **fields)  # type: ignore[arg-type]


def pool(*numbers: int, name: str = "web") -> Pool:
    """Return a pool of declared servers."""
    return Pool(name, real_servers=tuple(RealServer(f"rs{n}", rip(n)) for n in numbers))


def agent(number: int, *ready: IPAddress, membership: Membership = Membership.JOINED) -> Agent:
    """Return the agent of rsN, ready for VIPs over ipip."""
    readiness = frozenset(Readiness(vip, Encapsulation()) for vip in ready)
    return Agent(f"rs{number}", rip(number), ("web",), 100, membership, readiness)


def state(
    services: Collection[Service] = (),
    pools: Collection[Pool] = (),
    *,
    agents: Collection[Agent] = (),
    overrides: Mapping[ServerId, Override] | None = None,
    settings: Settings | None = None,
    revision: int = 1,
) -> State:
    """Return a state with these objects."""
    farm = Farm(
        {service.name: service for service in services},
        {each.name: each for each in pools},
        {},
        settings or Settings(),
    )
    status = Status(overrides or {}, {each.name: each for each in agents})
    return State("farm", 1, revision, {}, farm, status)


def web_farm(*numbers: int, vip: IPAddress = VIP) -> State:
    """Return a farm with the service web over declared servers."""
    return state([web(vip)], [pool(*numbers)])
