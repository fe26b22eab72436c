"""Examples of responses for the documentation; the schemas of requests have their own."""

from collections.abc import Mapping
from typing import Any

from api.object_examples import (
    AGENT,
    CONNECTION,
    NOTHING,
    POOL,
    SERVER,
    SERVICE,
    TABLE,
    TOKEN,
    TUNNEL,
)

ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "WriteAnswer": {
        "revision": 17,
        "changes": ["change service web"],
        "operations": ["edit service tcp 198.51.100.10:80 wrr"],
        "applied": True,
        **NOTHING,
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
