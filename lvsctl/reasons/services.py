"""Why a virtual service, a VIP or a setting of this director is not as the farm asks."""

from lvsctl.reasons.reason import ReasonKind

NOT_OBSERVED = ReasonKind(
    "not-observed-yet",
    "no cycle has looked at it yet",
    "The director has not compared this service with its kernel yet.",
    "Wait; the next cycle is at most 5 s away.",
)
NOT_RECONCILED = ReasonKind(
    "not-reconciled-yet",
    "the reconciler has not come to it yet",
    "The write is stored; no cycle has taken it to the kernel within the time to wait.",
    "Ask for the object's status, or wait longer.",
)
OBSERVING = ReasonKind(
    "observing",
    "this director only observes[[ until {until}]][[: {note}]]; lvsctl resume ends it",
    "The director was paused: it probes and plans, and writes nothing to its kernel.",
    "`lvsctl resume`.",
)
CONFLICT = ReasonKind(
    "conflict",
    "{subject} stands in the kernel already and lvsctl did not create it. To take it over as it "
    "is: lvsctl service adopt {service}; to have it made anew: {deletion}",
    "The farm declares a virtual service that somebody else created; lvsctl does not touch it.",
    "`lvsctl service adopt NAME`, or delete it with the command in the text.",
)
HELD = ReasonKind(
    "held",
    "serves on until service {service} serves in its new place",
    "The service moved to another VIP, port or protocol; the old one goes when the new one serves.",
    "None needed.",
)
OPERATION_FAILED = ReasonKind(
    "operation-failed",
    "{operation}: {result}",
    "The kernel refused an operation, or it depends on one that was refused.",
    "The text has the kernel's error; it is tried again with each cycle.",
)
OPERATION_WAITS = ReasonKind(
    "operation-waits",
    "{operation}: {why}",
    "An operation was planned and not tried.",
    "As for the reason in it.",
)
WAITS_FOR_VIP = ReasonKind(
    "waits-for-vip",
    "waits until its VIP is off this director",
    "A last service is deleted only once its VIP is gone: clients would meet this host's own "
    "listeners.",
    "See why the VIP is still here: `lvsctl plan show`.",
)

DUPLICATE_CHECK = ReasonKind(
    "vip-duplicate-check",
    "the links are asked whether another host has its VIP, before it is added here",
    "Before a VIP is added, the links are asked who has it.",
    "None needed: it takes seconds.",
)
VIP_ANSWERED_ARP = ReasonKind(
    "vip-answered-arp",
    "{subject} is not added to {link} of this director: {owner} answers ARP for it. A real server "
    "must have arp_ignore=1 before it has the VIP; another director must give it up first. It is "
    "asked again every 5 s",
    "Another host on the link has the VIP.",
    "Set arp_ignore=1 on the real server, or take the VIP off the other director.",
)
VIP_ANSWERED_ND = ReasonKind(
    "vip-answered-nd",
    "{subject} is not added to {link} of this director: {owner} answers neighbour solicitations "
    "for it. A real server must have the VIP on lo or on its tunnel's device, never on one of this "
    "link, and must not proxy it (proxy_ndp); another director must give it up first. It is asked "
    "again every 5 s",
    "Another host on the link has the IPv6 VIP.",
    "Move the VIP to lo or the tunnel's device on the real server; take it off the other director.",
)
VIP_NOT_REMOVED = ReasonKind(
    "vip-not-removed",
    "{subject} could not be removed: {result}",
    "The kernel refused to remove a VIP.",
    "The text has the kernel's error; it is tried again with each cycle.",
)
VIP_NOT_SET = ReasonKind(
    "vip-not-set",
    "{subject} could not be set: {result}",
    "The kernel refused to add a VIP, or to create the device for it.",
    "The text has the kernel's error; it is tried again with each cycle.",
)
VIP_IPV6_OFF = ReasonKind(
    "vip-ipv6-off",
    "{subject} could not be set: {result}; IPv6 is off there: sysctl -w {switch}=0",
    "IPv6 is switched off on the device that the VIP belongs on.",
    "Switch it on with the command in the text.",
)
VIP_SILENCED = ReasonKind(
    "vip-arp-ignored",
    "{subject}: arp_ignore is {value}, so clients on this link cannot resolve a VIP; set "
    "net.ipv4.conf.all.arp_ignore and net.ipv4.conf.{subject}.arp_ignore to 0",
    "The director does not answer ARP for a VIP on lvs0.",
    "Set arp_ignore to 0 on the director.",
)
VIP_IS_SOURCE = ReasonKind(
    "vip-may-be-source",
    "{subject} may become the outer source of the packets to the real servers, which breaks the "
    "tunnel: ip -6 addr change {address} dev {link} preferred_lft 0",
    "An IPv6 VIP that somebody else added is not deprecated: the kernel may take it for a source.",
    "Deprecate it with the command in the text.",
)
VIP_NOT_ANSWERED_FOR = ReasonKind(
    "vip-not-answered-for",
    "{subject} is not answered for by neighbour discovery, though it is in a network of {links}; "
    "lvsctl puts it there once it is removed: ip -6 addr del {address} dev {link}",
    "An IPv6 VIP that somebody else added is on a device whose neighbours do not ask for it.",
    "Remove it with the command in the text.",
)

SETTING_REFUSED = ReasonKind(
    "setting-refused",
    "{change}: {result}",
    "The kernel refused to change a sysctl or a timeout.",
    "The text has the kernel's error; it is tried again with each cycle.",
)
SETTING_SHARED = ReasonKind(
    "setting-shared",
    "{difference}: not written, as it would change {others} too; start the director with "
    "--take-sysctls if it may",
    "IPVS settings belong to the whole network namespace, and services of others are in it.",
    "Start the director with --take-sysctls, or adopt those services.",
)
SYSCTL_MISSING = ReasonKind(
    "sysctl-missing",
    "{subject}: this kernel does not have it; wanted {value}",
    "The kernel has no such parameter: ip_vs is not loaded, or the kernel is too old.",
    "`modprobe ip_vs`, or take it from settings.sysctls.",
)
PROBE_SET_UP_REFUSED = ReasonKind(
    "probe-set-up-refused",
    "health checks: {change}: {result}",
    "The kernel refused what probes through the tunnel need.",
    "The text has the kernel's error; it is tried again with each cycle.",
)
PROBES_UNROUTED = ReasonKind(
    "probes-unrouted",
    "health checks: this director has no route to {subject}, or no address of {family} to send "
    "from",
    "Probes through the tunnel to a server cannot be sent.",
    "Add a route, or an address of that family.",
)
PROBES_UNMARKED = ReasonKind(
    "probes-unmarked",
    "health checks: nothing is left of settings.probe_marks {marks} or settings.probe_ports "
    "{ports} for {count} servers, {first} among them; make them larger. What removed servers had "
    "is free again after 15 minutes",
    "There are more servers to probe than marks or ports.",
    "Make settings.probe_marks and settings.probe_ports larger.",
)
WITHDRAWN_FOR_QUORUM = ReasonKind(
    "withdrawn-for-quorum",
    "{why}; its VIP is withdrawn from this director",
    "The pool has no quorum and its policy withdraws the VIP.",
    "See why the checks fail: `lvsctl server show NAME`.",
)
