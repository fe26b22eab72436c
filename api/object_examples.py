"""An example of each object in responses, for the documentation."""

from collections.abc import Mapping
from typing import Any

from api.reason_views import explained
from lvsctl.reasons.servers import DRAINING, PROBES_PASSED

NOTHING: Mapping[str, Any] = {"reason": "", "code": "", "reasons": []}
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
        **NOTHING,
        "keys": [{"key": "tcp 198.51.100.10:80", "state": "applied", **NOTHING}],
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
