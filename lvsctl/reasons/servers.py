"""Why a real server serves as it does: administrative state, agent, health."""

from lvsctl.reasons.reason import ReasonKind

AGENT_LEFT = ReasonKind(
    "agent-left",
    "agent {subject} has left; it returns when the agent joins again",
    "The agent on the server was told to leave, so the server is out of the table.",
    "Start the agent on the server again.",
)
AGENT_LEAVING = ReasonKind(
    "agent-leaving",
    "agent {subject} is leaving",
    "The agent is leaving: the server gets no new connections until those that it has end.",
    "Wait, or start the agent again.",
)
AGENT_NOT_READY = ReasonKind(
    "agent-not-ready",
    "agent {subject} has not yet reported {vip} ready over {tunnel}",
    "Packets through this tunnel would loop or be dropped on the server, so it is not used yet.",
    "See what the agent finds: `lvsctl agent show NAME`, and on the server `lvsctl agent status`.",
)
TUNNEL_PENDING = ReasonKind(
    "tunnel-pending",
    "pending: {why}; still over {tunnel}",
    "The server is to use another tunnel, and keeps the old one until its agent accepts the new.",
    "As for the reason in it.",
)
DISABLED = ReasonKind(
    "disabled",
    "disabled[[: {note}]]",
    "Somebody took the server out of the table.",
    "`lvsctl server undrain NAME`, or `lvsctl server set NAME --state enabled`.",
)
DRAINING = ReasonKind(
    "draining",
    "draining[[ until {until}, remaining connections {then}]][[: {note}]]",
    "Somebody drains the server: it gets no new connections.",
    "`lvsctl server undrain NAME` ends it.",
)
WEIGHT_OVERRIDDEN = ReasonKind(
    "weight-overridden",
    "weight set at run time[[: {note}]]",
    "Somebody set a weight at run time; it goes before the declared one.",
    "`lvsctl server undrain NAME` returns to the declared weight.",
)
POOL_UNUSED = ReasonKind(
    "pool-unused",
    "no service uses pool {subject}",
    "The server is in no table, since no service uses its pool.",
    "Name the pool in a service.",
)
DOWN = ReasonKind(
    "down",
    "down: {why}",
    "Its health checks fail, so it gets no new connections.",
    "As for the reason in it.",
)
PANIC = ReasonKind(
    "panic",
    "panic: none of {judged} servers is healthy, so all of them serve",
    "All servers fail their checks at once: a broken check is likelier than a dead farm.",
    "See why the checks fail: `lvsctl server show NAME`.",
)
PANIC_BELOW = ReasonKind(
    "panic-below-threshold",
    "panic: {healthy} of {judged} servers are healthy, less than {below} %, so all of them serve",
    "Fewer servers are healthy than the pool's `panic_below` asks for, so all of them serve.",
    "See why the checks fail: `lvsctl server show NAME`.",
)
SERVES_IN_PANIC = ReasonKind(
    "serves-in-panic",
    "{panic}; this one is {down}",
    "The server fails its checks, and serves all the same since too few servers are healthy.",
    "See why the checks fail: `lvsctl server show NAME`.",
)
SLOW_START = ReasonKind(
    "slow-start",
    "slow start, step {step} of {steps}",
    "The server is healthy again and gets its weight in steps.",
    "None needed.",
)
NOT_CHECKED = ReasonKind(
    "not-checked-yet",
    "not checked yet",
    "No probe of the server has ended, so it is kept out of the table.",
    "Wait for the first probe.",
)
NOT_UP_YET = ReasonKind(
    "not-up-yet",
    "not up yet: {why}",
    "The server has not passed its checks since checking began.",
    "As for the reason in it.",
)
ASSUMED_HEALTHY = ReasonKind(
    "assumed-healthy",
    "in service before checking began",
    "The server was in the table when its checks began, and stays until they fail.",
    "None needed.",
)
FIRST_PROBE_PASSED = ReasonKind(
    "first-probe-passed",
    "the first probe passed",
    "The server passed its first probe.",
    "None needed.",
)
PROBE_PASSED = ReasonKind(
    "probe-passed",
    "a probe passed",
    "The server passed a probe, which is enough by its check's `rise`.",
    "None needed.",
)
PROBES_PASSED = ReasonKind(
    "probes-passed",
    "{count} probes passed in a row",
    "The server passed as many probes as its check's `rise` asks for.",
    "None needed.",
)
NO_QUORUM = ReasonKind(
    "no-quorum",
    "no quorum: {healthy} servers are healthy, {needed} are needed",
    "Fewer servers of the pool are healthy than its `quorum` asks for.",
    "See why the checks fail: `lvsctl server show NAME`.",
)
SORRY = ReasonKind(
    "sorry-server",
    "no server is healthy: the sorry server serves",
    "No server of the pool is healthy, so the sorry server takes the new connections.",
    "See why the checks fail: `lvsctl server show NAME`.",
)
PROBES_FROZEN = ReasonKind(
    "probes-do-not-count",
    "its probes do not count at present: {why}",
    "Something on the director keeps its probes from saying anything, so the verdict stays.",
    "As for the reason in it.",
)
