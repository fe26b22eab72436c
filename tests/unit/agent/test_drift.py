"""What others change on a real server is put right, and told with its cause."""

import pytest

from lvsctl.agent.assignments import Assignments
from lvsctl.host.interface import AddressConfig, Config, HostKey, LinkConfig, SysctlConfig
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.messages.model import Severity
from tests.unit.agent.bench import (
    NO_FALLBACK,
    OWN,
    TUNL0,
    VIPS,
    Bench,
    assigned,
    conf,
    vip_key,
)


def texts(bench: Bench, assignments: Assignments, severity: Severity) -> list[str]:
    findings = bench.check(assignments).findings
    return [finding.detail for finding in findings if finding.severity is severity]


DRIFT: list[tuple[HostKey, Config | None, str, str]] = [
    (TUNL0, LinkConfig("ipip", up=False), "tunl0", "tunl0 on rs2 is down"),
    (
        vip_key(VIPS[1]),
        None,
        f"{VIPS[1]}/32",
        f"{VIPS[1]}/32 is missing from tunl0 on rs2",
    ),
    (
        vip_key(VIPS[1]),
        AddressConfig(deprecated=True),
        f"{VIPS[1]}/32",
        "has other options",
    ),
    (
        conf("all", "rp_filter"),
        SysctlConfig("1"),
        "net.ipv4.conf.all.rp_filter",
        "tunl0 on rs2: rp_filter is 1 through net.ipv4.conf.all.rp_filter",
    ),
    (
        conf("tunl0", "rp_filter"),
        SysctlConfig("2"),
        "net.ipv4.conf.tunl0.rp_filter",
        "tunl0 on rs2: rp_filter is 2 through net.ipv4.conf.tunl0.rp_filter",
    ),
    (
        conf("all", "arp_ignore"),
        SysctlConfig("0"),
        "net.ipv4.conf.all.arp_ignore",
        "every device on rs2: arp_ignore is 0 through net.ipv4.conf.all.arp_ignore",
    ),
    (
        conf("all", "arp_announce"),
        SysctlConfig("1"),
        "net.ipv4.conf.all.arp_announce",
        "arp_announce is 1 through net.ipv4.conf.all.arp_announce",
    ),
    (
        conf("eth0", "arp_ignore"),
        SysctlConfig("3"),
        "net.ipv4.conf.eth0.arp_ignore",
        "eth0 on rs2: arp_ignore is 3 through net.ipv4.conf.eth0.arp_ignore",
    ),
]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("key", "config", "subject", "told"), DRIFT)
def test_drift_is_repaired_and_told(
    bench: Bench,
    key: HostKey,
    config: Config | None,
    subject: str,
    told: str,
    *,
    restarted: bool,
) -> None:
    """Whether it was changed under the agent or while there was none, with its cause."""
    bench.check(assigned(*VIPS))
    kept: list[HostKey] = [drift[0] for drift in DRIFT]
    good = bench.memory.observe(kept)
    bench.put(key, config)
    if restarted:
        bench.started()
    condition = bench.check(assigned(*VIPS))
    assert VIPS == condition.ready
    assert good == bench.memory.observe(kept)
    (finding,) = condition.findings
    assert (Severity.REPAIRED, subject, "") == (finding.severity, finding.subject, finding.cure)
    assert told in finding.detail
    assert "2026-01-02T03:04:15Z" == finding.at


def test_a_deleted_device_is_made_again() -> None:
    """Device, VIPs and sysctls come back, and the report says that the device was missing."""
    bench = Bench(MemoryHost([Hardware("eth0")], loadable=NO_FALLBACK))
    bench.check(assigned(*VIPS))
    good = bench.dump()
    bench.put(OWN, None)
    condition = bench.check(assigned(*VIPS))
    assert VIPS == condition.ready
    assert good == bench.dump()
    assert "lvs-ipip on rs2 is missing" in condition.findings[0].detail


def test_all_raised_by_hand_is_kept_for_the_others(bench: Bench) -> None:
    """Whoever sets all.rp_filter gets it on every device but the tunnel."""
    bench.check(assigned(*VIPS))
    bench.sysctl("all", "rp_filter", 1)
    bench.check(assigned(*VIPS))
    assert [1, 1, 0] == [bench.effective(name, "rp_filter") for name in ("eth0", "eth1", "tunl0")]


def test_a_stricter_device_of_others_is_not_drift(bench: Bench) -> None:
    """Another device's rp_filter is its owner's affair."""
    bench.check(assigned(*VIPS))
    bench.sysctl("eth0", "rp_filter", 2)
    bench.changes.clear()
    assert () == bench.check(assigned(*VIPS)).findings
    assert [] == bench.changes


def test_set_up_is_not_drift(bench: Bench) -> None:
    """Neither the first set-up nor a further VIP is reported as repaired."""
    assert () == bench.check(assigned(*VIPS[:1])).findings
    assert () == bench.check(assigned(*VIPS)).findings


def test_a_fight_is_named_with_its_count(bench: Bench) -> None:
    """From the third time in a row on the report says that something else is at work."""
    bench.check(assigned(*VIPS))
    for times in range(1, 5):
        bench.sysctl("all", "arp_ignore", 0)
        (detail,) = texts(bench, assigned(*VIPS), Severity.REPAIRED)
        assert (times >= 3) == ("something else" in detail)
        assert (times >= 3) == (f"{times} times since 2026-01-02T03:04:15Z" in detail)


def test_a_repair_is_forgotten_in_time(bench: Bench) -> None:
    """After an hour it is no longer reported, and a later one starts to count again."""
    bench.check(assigned(*VIPS))
    for _ in range(3):
        bench.sysctl("all", "arp_ignore", 0)
        bench.check(assigned(*VIPS))
    bench.now = bench.now.replace(hour=5)
    assert () == bench.check(assigned(*VIPS)).findings
    bench.sysctl("all", "arp_ignore", 0)
    (detail,) = texts(bench, assigned(*VIPS), Severity.REPAIRED)
    assert "something else" not in detail


def test_what_stands_keeps_its_time(bench: Bench) -> None:
    """A fault that lasts is reported with the time when it was first seen."""
    bench.refuse(conf("all", "arp_announce"))
    first = bench.check(assigned(*VIPS)).findings
    assert first == bench.check(assigned(*VIPS)).findings


def test_drift_that_cannot_be_repaired_stands(bench: Bench) -> None:
    """It is broken, not repaired, and what it spoils is not ready."""
    bench.check(assigned(*VIPS))
    bench.put(vip_key(VIPS[0]), None)
    bench.refuse(vip_key(VIPS[0]))
    condition = bench.check(assigned(*VIPS))
    assert VIPS[1:] == condition.ready
    assert [Severity.BROKEN] == [finding.severity for finding in condition.findings]
