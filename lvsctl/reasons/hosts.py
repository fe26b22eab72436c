"""What an agent finds wrong on its real server, or in what its director assigns."""

from lvsctl.reasons.reason import ReasonKind

_REPORTED = "The finding has the command that mends it: `lvsctl agent show NAME`."

ADDRESS_MISSING = ReasonKind(
    "address-missing",
    "{address} is missing from {link} on {host}: packets for it are dropped, or sent back "
    "where the host forwards",
    "The VIP is gone from the tunnel's device.",
    _REPORTED,
)
ADDRESS_DIFFERS = ReasonKind(
    "address-differs",
    "{address} on {link} on {host} has other options",
    "Somebody changed the options of the VIP.",
    _REPORTED,
)
RULE_MISSING = ReasonKind(
    "rule-missing",
    "{subject} is missing on {host}: clients of {source} send packets that do not fit into "
    "the tunnel, and where ICMP is filtered uploads hang",
    "The routing rule by which a fitting MSS is announced is gone.",
    _REPORTED,
)
LINK_MISSING = ReasonKind(
    "link-missing",
    "{device} on {host} is missing: tunnelled packets are refused",
    "The tunnel's device is gone.",
    _REPORTED,
)
LINK_DOWN = ReasonKind(
    "link-down",
    "{device} on {host} is down: clients see their connections refused",
    "The tunnel's device is down.",
    _REPORTED,
)
LINK_DIFFERS = ReasonKind(
    "link-differs",
    "{device} on {host} is another device: kind {kind}, local {local}, remote {remote}",
    "A device of that name is not the tunnel's.",
    _REPORTED,
)
FOU_PORT_MISSING = ReasonKind(
    "fou-port-missing",
    "{subject} on {host} is missing: gue packets are refused",
    "The UDP port that takes gue packets is not open.",
    _REPORTED,
)
FOU_PORT_DIFFERS = ReasonKind(
    "fou-port-differs",
    "{subject} on {host} is open for IP protocol {protocol}, not for gue: tunnelled packets "
    "are dropped",
    "The UDP port takes another kind of packets.",
    _REPORTED,
)
RP_FILTER = ReasonKind(
    "rp-filter",
    "{whose} on {host}: {parameter} is {value} through {subject}; tunnelled packets are dropped",
    "Reverse-path filtering drops what comes through the tunnel.",
    _REPORTED,
)
ARP_SYSCTL = ReasonKind(
    "arp-sysctl",
    "{whose} on {host}: {parameter} is {value} through {subject}; it answers ARP for the "
    "VIPs, and clients may bypass the director",
    "The host answers ARP for VIPs.",
    _REPORTED,
)
FOU_PORT_IN_USE = ReasonKind(
    "fou-port-in-use",
    "UDP port {port} on {host} is in use by another program, which receives the gue packets",
    "Another program has the UDP port of the tunnel.",
    _REPORTED,
)
CHANGE_REFUSED = ReasonKind(
    "host-change-refused",
    "{change} on {host}: {result}",
    "The kernel refused a change of this host.",
    _REPORTED,
)
TUNNEL_UNSUPPORTED = ReasonKind(
    "tunnel-unsupported",
    "{host} cannot accept the tunnel {tunnel}: this version of the agent supports ipip, gre, "
    "and gue with a port",
    "The agent is older than the tunnel.",
    _REPORTED,
)
VIP_UNCARRIED = ReasonKind(
    "vip-uncarried",
    "{host} cannot serve {subject}: no tunnel that it accepts carries it",
    "No tunnel of the agent carries the VIP's address family.",
    _REPORTED,
)
TUNNELS_EXCLUDE = ReasonKind(
    "tunnels-exclude-each-other",
    "{host} cannot accept gre with and without checksum at once: the kernel's device for one "
    "drops the packets of the other",
    "Pools of one server want gre both with and without checksum.",
    _REPORTED,
)
IPV6_OFF = ReasonKind(
    "ipv6-off",
    "IPv6 is off on {device} on {host} through {subject}: IPv6 VIPs are not served",
    "IPv6 is switched off on a device that needs it.",
    _REPORTED,
)
MSS_TABLE_FOREIGN = ReasonKind(
    "mss-table-foreign",
    "routing table {table} on {host} has routes that are not lvsctl's, such as {route}; it is"
    " left alone, no smaller MSS is announced: uploads hang where ICMP is filtered",
    "The routing table for announcing the MSS is used by somebody else.",
    _REPORTED,
)
MSS_TOO_MANY_ROUTES = ReasonKind(
    "mss-too-many-routes",
    "the main table of {host} has {count} routes, more than lvsctl copies; no smaller MSS is "
    "announced: uploads hang where ICMP is filtered",
    "There are too many routes to copy.",
    _REPORTED,
)
MSS_ROUTE_NOT_COPIED = ReasonKind(
    "mss-route-not-copied",
    "the route {route} on {host} cannot be copied (several next hops?); its clients are "
    "announced no smaller MSS: uploads hang where ICMP is filtered",
    "A route cannot be copied for announcing the MSS.",
    _REPORTED,
)
UNSTABLE = ReasonKind(
    "unstable",
    "{key} on {host} changes as fast as it is set",
    "Another program sets the same thing on this host.",
    _REPORTED,
)
KEPT_FOR_OTHER_FARM = ReasonKind(
    "kept-for-other-farm",
    "{host} keeps {kept}, assigned by {subject}; the director now serves farm {current}, "
    "which does not have them",
    "The director serves another farm than the one that assigned this.",
    _REPORTED,
)
ASSIGNMENT_REFUSED = ReasonKind(
    "assignment-refused",
    "{host} does not follow what {director} assigns, and serves as before: {why}",
    "The director's answer is not one that the agent can follow.",
    _REPORTED,
)
HOST_UNREADABLE = ReasonKind(
    "host-unreadable",
    "the network of {subject} cannot be read: {error}",
    "The kernel refused to show this host's network.",
    _REPORTED,
)
STATE_FOLDER_BROKEN = ReasonKind(
    "state-folder-broken",
    "on {host}: {error}",
    "The agent's state folder could not be read or written.",
    _REPORTED,
)
VIP_IN_USE = ReasonKind(
    "vip-in-use",
    "{host} does not serve {subject}: it is the address of {owner}",
    "The director assigns a VIP that is an address in use.",
    _REPORTED,
)
VIP_NOT_UNICAST = ReasonKind(
    "vip-not-unicast",
    "{host} does not serve {subject}: it is {nature}",
    "The director assigns a VIP that no host can have.",
    _REPORTED,
)
TUNNEL_UNKNOWN = ReasonKind(
    "tunnel-unknown",
    "{host} does not accept a tunnel of type {type} at port {port}: there is no such tunnel",
    "The director assigns a tunnel that does not exist.",
    _REPORTED,
)
TUNNEL_END_REFUSED = ReasonKind(
    "tunnel-end-refused",
    "{host} does not bring up {subject}: {why}",
    "The director assigns an end of a point-to-point tunnel that the agent refuses.",
    _REPORTED,
)
MTU_OUT_OF_RANGE = ReasonKind(
    "mtu-out-of-range",
    "{host} announces no MSS for a path MTU of {mtu}: it is out of range",
    "The director assigns an MTU that no network has.",
    _REPORTED,
)
TOO_MANY_PARTS = ReasonKind(
    "too-many-parts",
    "{host} leaves out {count} {subject}: an agent takes at most {most}",
    "The assignment has more parts than an agent takes.",
    _REPORTED,
)
MORE_REFUSED = ReasonKind(
    "more-refused",
    "{host} refuses {count} more parts of its assignment",
    "More parts of the assignment are refused than are listed.",
    _REPORTED,
)
TUNNEL_NOT_REMOVED = ReasonKind(
    "tunnel-not-removed",
    "{error}",
    "A point-to-point tunnel could not be removed.",
    _REPORTED,
)
TUNNEL_END_BROKEN = ReasonKind(
    "tunnel-end-broken",
    "tunnel {tunnel} on {host}: {problem}",
    "An end of a point-to-point tunnel was not as configured.",
    _REPORTED,
)
REPORT_CUT = ReasonKind(
    "report-cut",
    "{count} more findings than fit in a report",
    "The agent has more findings than a report takes.",
    _REPORTED,
)
AGENT_DEFECT = ReasonKind(
    "agent-defect",
    "the host of {host} could not be checked: {error}",
    "A defect in lvsctl on the real server; what it serves goes on.",
    "Report it with the agent's journal: `journalctl -u lvsctl-agent`.",
)
