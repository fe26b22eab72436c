"""Where the kernel would send a packet; a question only, nothing is sent."""

import os
import socket
from ipaddress import ip_address
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lvsctl.doctor.facts import Journey, NoRoute, Route
from lvsctl.net import family_of


def find_route(rtnetlink: IPRoute, journey: Journey) -> Route | NoRoute:
    """Ask the kernel for the route of a packet that this host sends."""
    request: dict[str, Any] = {
        "dst": str(journey.destination),
        "family": int(family_of(journey.destination)),
    }
    if journey.source is not None:
        request["src"] = str(journey.source)
    try:
        found = tuple(rtnetlink.route("get", **request))
    except NetlinkError as error:
        return NoRoute(os.strerror(error.code))
    message = found[0]
    index = message.get("oif")
    if index is None:
        return NoRoute("the route leads nowhere")
    link = next(iter(rtnetlink.get_links(index)))
    source, gateway = message.get("prefsrc"), message.get("gateway")
    return Route(
        link=socket.if_indextoname(index),
        source=ip_address(source) if source else None,
        gateway=ip_address(gateway) if gateway else None,
        mtu=link.get("mtu") or 0,
    )
