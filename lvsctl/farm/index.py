"""Who uses what in a farm. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from lvsctl.errors import Problem
from lvsctl.farm.compile import service_keys
from lvsctl.farm.model import Farm, Pool, RealServer, Service, Settings
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.rules.health import broken_health_rules
from lvsctl.farm.rules.tunnels import broken_tunnel_rules
from lvsctl.farm.status import AdministrativeState, Agent, AtDeadline, Deadline, Override
from lvsctl.farm.tunnels import clashes, tunnel_problems
from lvsctl.ipvs.table import FwmarkKey, Persistence, ServiceKey
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress, IpProtocol, family_of
from lvsctl.unicast import why_not_unicast


def referring_services(farm: Farm, pool: str) -> Iterable[str]:
    """Return the names of the services that use a pool."""
    return [service.name for service in farm.services.values() if service.pool == pool]
