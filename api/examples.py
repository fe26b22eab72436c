"""Examples of responses for the documentation; the schemas of requests have their own."""

from collections.abc import Mapping
from typing import Any

from api.reason_views import explained
from lvsctl.reasons.servers import DRAINING, PROBES_PASSED

_NOTHING: Mapping[str, Any] = {"reason": "", "code": "", "reasons": []}
_DRAINING: Mapping[str, Any] = explained(
    [DRAINING("web/rs1", until="2026-01-02T03:05:05Z", then="are then cut", note="new disk")]
)
_PASSED: Mapping[str, Any] = explained([PROBES_PASSED(count=2)])

REAL_SERVER = {
    "name": "rs1",
    "address": "192.0.2.11",
    "weight": 100,
    "upper_threshold": 0,
    "lower_threshold": 0,
}
CONNECTION = {
    "protocol": "tcp",
    "client": "203.0.113.9",
    "client_port": 40000,
    "vip": "198.51.100.10",
    "vip_port": 80,
    "server": "192.0.2.11",
    "state": "ESTABLISHED",
    "expires": "899s",
}
SERVER_STATUS = {
    "origin": "declared",
    "state": "draining",
    "weight": 0,
    "tunnel": "ipip",
    "pending": False,
    **_DRAINING,
    "services": [
        {
            "service": "web",
            "weight": 0,
            "tunnel": "ipip",
            "pending": False,
            **_DRAINING,
        }
    ],
    "health": [
        {
            "vip": "198.51.100.10",
            "health": "up",
            "since": "2026-01-02T03:00:00Z",
            **_PASSED,
            "checks": [
                {
                    "type": "http",
                    "port": 80,
                    "through": "tunnel",
                    "health": "up",
                    "since": "2026-01-02T03:00:00Z",
                    **_PASSED,
                    "frozen": None,
                    "frozen_code": "",
                    "last": {"passed": True, "took_ms": 1.3, "error": "", "code": ""},
                }
            ],
        }
    ],
    "drain": {
        "since": "2026-01-02T03:04:05Z",
        "deadline": "2026-01-02T03:05:05Z",
        "at_deadline": "cut",
        "overdue": False,
        "connections": 17,
        "gone_in": "42s",
        "warnings": [],
    },
    "agent": {"name": "rs1", "membership": "joined", "age": "4s"},
}
SERVER = {**REAL_SERVER, "status": SERVER_STATUS}
POOL = {
    "name": "web",
    "tunnel": {"type": "ipip"},
    "health_checks": [{"type": "http", "port": 80, "path": "/healthz"}],
    "real_servers": [REAL_SERVER],
    "status": {
        "services": ["web"],
        "tunnel": "ipip",
        "real_servers": [
            {
                "name": "rs1",
                "address": "192.0.2.11",
                "origin": "declared",
                "state": "draining",
                "weight": 0,
                "tunnel": "ipip",
                "pending": False,
                "health": "up",
                **_DRAINING,
            }
        ],
    },
}
SERVICE = {
    "name": "web",
    "vip": "198.51.100.10",
    "protocol": "tcp",
    "ports": [80],
    "scheduler": "mh",
    "pool": "web",
    "status": {
        "state": "applied",
        **_NOTHING,
        "keys": [{"key": "tcp 198.51.100.10:80", "state": "applied", **_NOTHING}],
        "health": {
            "healthy": 2,
            "panic": "",
            "panic_code": "",
            "sorry": False,
            "lost_quorum": "",
            "lost_quorum_code": "",
            "withdrawn": False,
        },
        "destinations": [
            {
                "server": "rs1",
                "address": "192.0.2.11",
                "weight": 0,
                "tunnel": "ipip",
                "pending": False,
                "health": "up",
                **_DRAINING,
            }
        ],
    },
}
AGENT = {
    "name": "rs3",
    "address": "192.0.2.13",
    "pools": ["web"],
    "weight": 100,
    "membership": "joined",
    "ready": [{"vip": "198.51.100.10", "tunnel": "ipip"}],
    "awaited": [],
    "accepts": ["ipip"],
    "age": "4s",
    "findings": [
        {
            "severity": "repaired",
            "subject": "tunl0",
            "detail": "it was down",
            "cure": "",
            "at": "2026-01-02T03:04:05Z",
            "code": "link-down",
        }
    ],
}
_TUNNEL_END_STATUS = {
    "agent": "rs1",
    "state": "down",
    "reason": "no answer from 192.168.2.2 for 8s",
    "since": "2026-01-02T03:04:05Z",
    "mtu": 1472,
    "round_trip_ms": 0.21,
    "loss_percent": 40.0,
}
TUNNEL = {
    "name": "c2d",
    "mode": "gre",
    "ends": [
        {
            "agent": "rs1",
            "underlay": "192.0.2.11",
            "device": "eth0",
            "addresses": ["192.168.2.1/24"],
        },
        {
            "agent": "rs2",
            "underlay": "192.0.2.12",
            "device": "eth0",
            "link": "d2c",
            "addresses": ["192.168.2.2/24"],
        },
    ],
    "key": 42,
    "status": {
        "state": "down",
        "reason": "rs1: no answer from 192.168.2.2 for 8s; rs2: d2c is missing",
        "ends": [
            _TUNNEL_END_STATUS,
            {**_TUNNEL_END_STATUS, "agent": "rs2", "reason": "d2c is missing", "mtu": None},
        ],
    },
}
TRAFFIC = {
    "connections": 1200,
    "in_packets": 14400,
    "out_packets": 0,
    "in_bytes": 1152000,
    "out_bytes": 0,
    "connections_per_s": 20,
    "in_packets_per_s": 240,
    "out_packets_per_s": 0,
    "in_bytes_per_s": 19200,
    "out_bytes_per_s": 0,
}
TABLE = {
    "services": [
        {
            "key": "tcp 198.51.100.10:80",
            "family": "IPv4",
            "service": "web",
            "scheduler": "mh",
            "flags": ["mh-fallback", "mh-port"],
            "persistence": None,
            "traffic": TRAFFIC,
            "destinations": [
                {
                    "address": "192.0.2.11",
                    "port": 80,
                    "weight": 100,
                    "forwarding": "tunnel",
                    "tunnel": "ipip",
                    "upper_threshold": 0,
                    "lower_threshold": 0,
                    "active_connections": 17,
                    "inactive_connections": 240,
                    "persistent_connections": 0,
                    "traffic": TRAFFIC,
                }
            ],
            "protocol": "tcp",
            "vip": "198.51.100.10",
            "port": 80,
        }
    ],
    "probes": [
        {
            "key": "fwmark 1280704512",
            "family": "IPv4",
            "service": None,
            "scheduler": "rr",
            "flags": [],
            "persistence": None,
            "traffic": TRAFFIC,
            "destinations": [
                {
                    "address": "192.0.2.11",
                    "port": 0,
                    "weight": 1,
                    "forwarding": "tunnel",
                    "tunnel": "ipip",
                    "upper_threshold": 0,
                    "lower_threshold": 0,
                    "active_connections": 0,
                    "inactive_connections": 1,
                    "persistent_connections": 0,
                    "traffic": TRAFFIC,
                }
            ],
            "fwmark": 1280704512,
        }
    ],
    "timeouts": {"tcp": "15m", "tcp_fin": "2m", "udp": "5m"},
}

TOKEN = {
    "name": "ci",
    "role": "operator",
    "pools": [],
    "uses": None,
    "by": "root",
    "secrets": [{"created": "2026-01-02T03:04:05Z", "expires": "2026-04-02T03:04:05Z"}],
    "last_used": "2026-01-02T03:34:05Z",
    "last_source": "192.0.2.99",
}

ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "WriteAnswer": {
        "revision": 17,
        "changes": ["change service web"],
        "operations": ["edit service tcp 198.51.100.10:80 wrr"],
        "applied": True,
        **_NOTHING,
    },
    "ServiceAnswer": SERVICE,
    "Services": {"services": [SERVICE]},
    "PoolAnswer": POOL,
    "Pools": {"pools": [POOL]},
    "RealServerAnswer": SERVER,
    "RealServers": {"real_servers": [SERVER]},
    "TunnelAnswer": TUNNEL,
    "Tunnels": {"tunnels": [TUNNEL]},
    "OverrideAnswer": {
        "state": "draining",
        "reason": "new disk",
        "deadline": "2026-01-02T03:05:05Z",
        "at_deadline": "cut",
        "by": "ada",
        "since": "2026-01-02T03:04:05Z",
    },
    "AgentWithConnections": {**AGENT, "connections": 17},
    "Agents": {"agents": [AGENT]},
    "Assignment": {
        "farm_id": "6dde5c9e54c74fb39d8d123d5b247cc0",
        "agent": "rs3",
        "vips": ["198.51.100.10"],
        "tunnels": [{"type": "ipip"}],
    },
    "AdoptAnswer": {"adopted": ["tcp 198.51.100.10:80"]},
    "Table": TABLE,
    "PlanAnswer": {
        "revision": 17,
        "operations": ["edit 192.0.2.11:80 weight 100 of tcp 198.51.100.10:80"],
        "host_changes": [],
        "conflicts": [],
        "foreign": ["tcp 203.0.113.5:25"],
        "problems": [],
        "problem_reasons": [],
    },
    "History": {
        "commits": [
            {
                "revision": 17,
                "at": "2026-01-02T03:04:05Z",
                "by": "ada",
                "objects": ["pool/web"],
                "changes": ["change pool web: real_servers/rs1/weight 100 → 50"],
            }
        ]
    },
    "Connections": {"connections": [CONNECTION], "next": 100},
    "ExplainAnswer": {
        "key": "tcp 198.51.100.10:80",
        "service": "web",
        "scheduler": "mh",
        "cause": "connection",
        "reason": "the connection exists in the kernel (ESTABLISHED)",
        "servers": [{"name": "rs1", "address": "192.0.2.11"}],
        "connection": CONNECTION,
    },
    "ModeAnswer": {
        "mode": "observe",
        "reason": "switch work",
        "until": "2026-01-02T03:34:05Z",
        "by": "ada",
    },
    "Health": {"status": "up", "director": "lb1"},
    "Readiness": {
        "ready": True,
        "checks": [
            {"name": "cycle", "ok": True, "detail": "", "code": ""},
            {"name": "kernel", "ok": True, "detail": "", "code": ""},
        ],
    },
    "DirectorProblems": {
        "problems": [
            {
                "name": "disk",
                "ok": False,
                "code": "disk-full",
                "detail": "/var/lib/lvsctl: 0 KiB are free, 8192 are needed; see what fills the "
                "disk: du -xh /var/lib/lvsctl | sort -h",
            }
        ]
    },
    "AuditAnswer": {
        "writes": [
            {
                "revision": 17,
                "at": "2026-01-02T03:04:05Z",
                "by": "ada",
                "source": "192.0.2.99",
                "changes": ["change pool web: real_servers/rs1/weight 100 → 50"],
            }
        ],
        "refusals": [
            {
                "source": "192.0.2.66",
                "name": "",
                "reason": "wrong token",
                "times": 3,
                "first": "2026-01-02T03:04:05Z",
                "last": "2026-01-02T03:05:05Z",
            }
        ],
    },
    "TokenAnswer": TOKEN,
    "Tokens": {"tokens": [TOKEN]},
    "NewSecret": {
        "name": "ci",
        "role": "operator",
        "token": "lvsctl_...",
        "expires": "2026-04-02T03:04:05Z",
    },
    "ProblemDetails": {
        "type": "urn:lvsctl:problem:invalid-input",
        "title": "Invalid input",
        "status": 422,
        "detail": "/ports/1: 70000 is out of range (allowed: 1 to 65535)",
        "code": "invalid-input",
        "subject": "",
        "parameters": {"error": "/ports/1: 70000 is out of range (allowed: 1 to 65535)"},
        "errors": [
            {
                "pointer": "/ports/1",
                "code": "rule-broken",
                "detail": "70000 is out of range",
                "allowed": "1 to 65535",
            }
        ],
    },
}
"""By name of the schema."""
