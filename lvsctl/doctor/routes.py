"""Asks the kernel for routes (``ip route get``)."""

import os
import socket
from ipaddress import ip_address
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lvsctl.doctor.facts import NoRoute, Route, RouteQuery
from lvsctl.net import family_of


def find_route(rtnetlink: IPRoute, query: RouteQuery) -> Route | NoRoute:
    """Return the route that a locally generated packet would take."""
    request: dict[str, Any] = {
        "dst": str(query.destination),
        "family": int(family_of(query.destination)),
    }
    if query.source is not None:
        request["src"] = str(query.source)
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
