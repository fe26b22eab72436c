"""How a probe failed, and why one says nothing about its server."""

from lvsctl.reasons.reason import ReasonKind

_SEE_SERVER = "See whether the application runs and listens there."

REFUSED = ReasonKind(
    "probe-refused",
    "{subject} refused the connection",
    "Nothing listens on the port, or a firewall answers with a reset.",
    _SEE_SERVER,
)
DATAGRAM_REFUSED = ReasonKind(
    "probe-datagram-refused",
    "{subject} refused the datagram",
    "Nothing listens on the UDP port.",
    _SEE_SERVER,
)
RESET = ReasonKind(
    "probe-reset",
    "{subject} reset the connection, waiting for {awaited}",
    "The server accepted the connection and then reset it.",
    "See the application's log.",
)
UNREACHABLE = ReasonKind(
    "probe-unreachable",
    "{subject} is unreachable: {error}",
    "The network, or the server's firewall, answered with an ICMP error.",
    "See routes and firewalls between director and server.",
)
TIMED_OUT = ReasonKind(
    "probe-timed-out",
    "{subject}: timed out after {timeout_s} s, waiting for {awaited}",
    "The probe did not end within its check's `timeout`.",
    "See whether the server is overloaded; where nothing comes back at all, see what the reason "
    "adds to it.",
)
TOO_LARGE = ReasonKind(
    "probe-answer-too-large",
    "{subject}: the answer is larger than {limit} bytes",
    "The answer is larger than a probe reads.",
    "Let the check ask for a smaller document.",
)
UNEXPECTED_ANSWER = ReasonKind(
    "probe-unexpected-answer",
    "{subject} answered {answer}, which does not begin with {expected}",
    "A UDP probe got another answer than its check expects.",
    _SEE_SERVER,
)
HTTP_STATUS = ReasonKind(
    "probe-http-status",
    "{subject} answered {status} (allowed: {allowed})",
    "The status of the HTTP response is not one that the check allows.",
    "See the application's log, or change the check's `statuses`.",
)
NOT_HTTP = ReasonKind(
    "probe-not-http",
    "{subject} does not speak HTTP: {answer}",
    "The answer is not HTTP/1.",
    "See what listens on the port; a port with TLS needs a check of type https.",
)
CLOSED_EARLY = ReasonKind(
    "probe-closed-early",
    "{subject} closed the connection after {received} bytes of its answer",
    "The server closed the connection before the header of its response was complete.",
    "See the application's log.",
)
BODY_CUT = ReasonKind(
    "probe-body-cut",
    "{subject} closed the connection in the middle of the body",
    "The body is shorter than its header says.",
    "See the application's log.",
)
BODY_MISMATCH = ReasonKind(
    "probe-body-mismatch",
    "{subject}: {pattern} not found in the body ({size} bytes)",
    "The body does not contain what the check looks for.",
    "Ask for the document yourself: `curl`.",
)
TLS_FAILED = ReasonKind(
    "probe-tls-failed",
    "{subject}: TLS handshake failed: {error}",
    "Server and director could not agree on TLS.",
    "Try it: `openssl s_client -connect ADDRESS:PORT`.",
)
TLS_ERROR = ReasonKind(
    "probe-tls-error",
    "{subject}: TLS error: {error}",
    "TLS failed after the handshake.",
    "Try it: `openssl s_client -connect ADDRESS:PORT`.",
)
TLS_CLOSED = ReasonKind(
    "probe-tls-closed",
    "{subject} closed the connection during the TLS handshake",
    "The server closed the connection during the TLS handshake.",
    "See whether the port speaks TLS.",
)
BAD_CERTIFICATE = ReasonKind(
    "probe-bad-certificate",
    "{subject}: invalid certificate: {error}",
    "The certificate has expired, is for another name, or is not signed by a known authority.",
    "Renew it, or set the check's `server_name`.",
)
NOT_DNS = ReasonKind(
    "probe-not-dns",
    "{subject} does not speak DNS: {error}",
    "The answer is not DNS.",
    _SEE_SERVER,
)
OTHER_QUERY = ReasonKind(
    "probe-dns-other-query",
    "{subject} answered a query other than that for {name}",
    "The answer has the identifier of the query, but another question.",
    "See the name server's log.",
)
DNS_ERROR = ReasonKind(
    "probe-dns-error",
    "{subject} answered {error} for {name}",
    "The name server answered with an error.",
    "See the name server's log.",
)
NO_RECORD = ReasonKind(
    "probe-dns-no-record",
    "{subject} has no {type} record for {name}[[ (its answer is {truncated})]]",
    "The name server has no such record.",
    "See its zone, or change the check's `name`.",
)
RECORD_MISSING = ReasonKind(
    "probe-dns-record-missing",
    "{subject}: {missing} is not in {name} {type}: {found}",
    "The name server has other addresses than the check expects.",
    "See its zone, or change the check's `addresses`.",
)
PROGRAM_FAILED = ReasonKind(
    "probe-program-failed",
    "{subject}: {status}[[, {output}]]",
    "The program of an exec check ended with another status than 0, or by a signal.",
    "Run it by hand, with the environment that the documentation of health checks names.",
)

APPLICATION_ANSWERS = ReasonKind(
    "answers-directly",
    "the application answers on {subject}, but not for {vip}: check that {devices} is up on "
    "{server} and that the application listens on {vip} or on all addresses",
    "The server answers at its own address; through the tunnel it refuses.",
    "Bring the tunnel device up; let the application listen on the VIP.",
)
TUNNEL_SILENT = ReasonKind(
    "tunnel-silent",
    "the application answers on {subject}, nothing comes back through the tunnel: check {devices}, "
    "rp_filter and {vip} on {server}, and what the network between drops",
    "The server answers at its own address; through the tunnel nothing comes back.",
    "`lvsctl doctor` on the server; let IP protocol 4 (ipip), 47 (gre) or the UDP port (gue) "
    "through.",
)
NOT_DIRECTLY_EITHER = ReasonKind(
    "not-directly-either",
    "nor does it answer directly: {why}",
    "The server does not answer at its own address either, so it is not the tunnel.",
    _SEE_SERVER,
)
AGENT_REPORTS = ReasonKind(
    "agent-reports",
    "its agent reports {finding}",
    "What the server's agent has found wrong there.",
    "`lvsctl agent show NAME` has the cure.",
)

BUSY = ReasonKind(
    "host-busy",
    "this host was busy: a probe of {timeout_s} s took {took_s} s",
    "The director got no processor time, so the probe does not count.",
    "See what keeps the director's host busy.",
)
CANNOT_SEND = ReasonKind(
    "cannot-send",
    "cannot send a datagram to {subject}: {error}",
    "The director's own kernel refused the packet: a firewall rule, or a full queue.",
    "See the firewall of the director.",
)
CANNOT_PROBE = ReasonKind(
    "cannot-probe",
    "cannot probe {subject}: {error}",
    "The director's own kernel refused the connection.",
    "See routes and firewall of the director.",
)
NO_SOCKET = ReasonKind(
    "no-socket",
    "cannot open a socket for a probe: {error}",
    "The director has no file descriptors left, or no memory.",
    "See `LimitNOFILE` of lvsctl-director.service.",
)
NO_MARK_ON_SOCKET = ReasonKind(
    "no-mark-on-socket",
    "cannot set mark {mark} on a probe's socket: {error}",
    "The director lacks CAP_NET_ADMIN.",
    "Run it by its unit, or as root.",
)
CANNOT_BIND = ReasonKind(
    "cannot-bind",
    "cannot bind a probe to {source} port {port}: {error}",
    "The source address is gone, or the port is taken.",
    "See the director's addresses: `ip address`.",
)
BAD_PATTERN = ReasonKind(
    "bad-body-pattern",
    "invalid body pattern {pattern}: {error}; change it in the pool's health check",
    "The regular expression of the check is invalid.",
    "Change the check's `body`.",
)
BODY_NOT_SEARCHABLE = ReasonKind(
    "body-not-searchable",
    "the body of {subject} cannot be searched: {error}",
    "The search would take too long.",
    "Let the check ask for a smaller document, or simplify its `body`.",
)
PROGRAMS_OFF = ReasonKind(
    "programs-off",
    "{subject} cannot be run: start the director with --exec-socket or --exec-dir",
    "The director runs no programs, so exec checks say nothing.",
    "Start it with --exec-socket or --exec-dir.",
)
PROGRAM_NOT_RUN = ReasonKind(
    "program-not-run",
    "{error}",
    "The service that runs programs did not answer, or refused this one.",
    "`systemctl status lvsctl-exec.socket`; the text says what is wrong with the file.",
)
PROBE_DEFECT = ReasonKind(
    "probe-defect",
    "the probe raised {error}",
    "A defect in lvsctl.",
    "Report it with the journal: `journalctl -u lvsctl-director`.",
)

NO_PATH = ReasonKind(
    "no-probe-path",
    "this director has no route to {subject}, no address to send from, or no mark left for it; "
    "lvsctl plan show says which",
    "Probes through the tunnel to this server cannot be sent.",
    "`lvsctl plan show`.",
)
NOT_OBSERVED = ReasonKind(
    "path-not-observed",
    "what it needs of this director was not looked at before it began",
    "A probe counts only between two observations of the director.",
    "None needed: the next probe counts.",
)
OBSERVATION_FAILED = ReasonKind(
    "path-observation-failed",
    "this director could not be looked at: {error}",
    "The kernel or the disk refused the observation that a probe needs.",
    "`lvsctl plan show`, and the journal.",
)
OBSERVATION_DEFECT = ReasonKind(
    "path-observation-defect",
    "looking at this director broke: {error}",
    "A defect in lvsctl.",
    "Report it with the journal: `journalctl -u lvsctl-director`.",
)
MARK_JUST_REPAIRED = ReasonKind(
    "probe-service-repaired",
    "{subject} was put right just now",
    "The virtual service that leads probes to this server was wrong until now.",
    "None needed. Find what changes the table where it comes back.",
)
NO_PROBE_SERVICE = ReasonKind(
    "probe-service-missing",
    "{subject} has no virtual service, so any server could answer; the director restores it within "
    "5 s. ipvsadm -C deletes it, and so does ipvsadm -R",
    "The virtual service that leads probes to this server is gone.",
    "Do not clear the table while the director runs.",
)
PROBE_SERVICE_DIFFERS = ReasonKind(
    "probe-service-differs",
    "{subject} does not lead to {path} alone, with weight 1; the director repairs it within 5 s",
    "The virtual service that leads probes to this server was changed.",
    "Find what changes the table.",
)
PROBE_VIP_ABSENT = ReasonKind(
    "probe-vip-absent",
    "{subject} is not on this director; lvsctl plan show says why",
    "Without the VIP the director does not accept the answers.",
    "`lvsctl plan show`.",
)
SOURCE_GONE = ReasonKind(
    "probe-source-gone",
    "its source {subject} is no longer an address of this director",
    "The address that probes are sent from was removed.",
    "None needed: the next cycle takes another.",
)
NO_ROUTE = ReasonKind(
    "no-route-to-server",
    "this director has no route to {subject}: ip route get {subject}",
    "The director cannot reach the server.",
    "Add a route.",
)
ROUTE_MOVED = ReasonKind(
    "route-moved",
    "{subject} is now reached by {link} instead of {before}",
    "The route to the server leads to another device now.",
    "None needed: the next cycle follows it.",
)
REUSE_MODE = ReasonKind(
    "conn-reuse-mode",
    "{subject} is {value}, so old connections capture probes: sysctl -w {subject}=1",
    "A probe that reuses a port would follow an older connection to another server.",
    "Set it to 1.",
)
ACCEPT_LOCAL_OFF = ReasonKind(
    "accept-local-off",
    "{subject} is 0, so answers from {vip} are dropped; the director sets it to 1 within 5 s",
    "The kernel drops packets that come from an address of its own, and the VIP is one.",
    "None needed; find what resets it where it comes back.",
)
STRICT_RP_FILTER = ReasonKind(
    "strict-rp-filter",
    "rp_filter is 1 on {link}, so answers from {vip} are dropped: sysctl -w {subject}=2",
    "Strict reverse-path filtering drops the answers.",
    "Set it to 2.",
)
DIRECTOR_DROPS_ANSWERS = ReasonKind(
    "director-drops-answers",
    "all {silent} servers asked for {subject} fell silent at once, yet {answering} of them answer "
    "directly, so this director is at fault rather than they. Let answers from {subject} to "
    "{source} in: iptables -I INPUT -s {subject} -d {source} -j ACCEPT",
    "A firewall on the director drops the answers.",
    "Let them in.",
)
