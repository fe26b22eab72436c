"""What an agent sends is never more than a director takes."""

import json
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.messages.documents import read_report, report_document
from lvsctl.messages.limits import MAX_FINDINGS, report_problems, within_limits
from lvsctl.messages.model import Finding, Report, Severity, Tunnel, TunnelEndState

TEXTS = st.integers(0, 1500).map(lambda length: "ä" * length)
TIMES = st.integers(0, 59).map(lambda second: f"2026-01-01T00:00:{second:02}Z")
FINDINGS = st.builds(Finding, st.sampled_from(Severity), TEXTS, TEXTS, TEXTS, TIMES)
ENDS = st.builds(TunnelEndState, st.just("c2d"), st.booleans(), TIMES, TEXTS)
REPORTS = st.builds(
    Report,
    st.just("farm"),
    st.just((IPv4Address("198.51.100.10"),)),
    st.just((Tunnel("ipip"),)),
    st.lists(FINDINGS, max_size=70).map(tuple),
    st.lists(ENDS, max_size=3).map(tuple),
)


def finding(number: int, severity: Severity = Severity.BROKEN) -> Finding:
    at = f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z"
    return Finding(severity, f"link {number}", "down", "", at)


@given(report=REPORTS)
def test_whatever_is_wrong_the_director_takes_the_report(report: Report) -> None:
    """It passes the director's own reading; one that was small enough is sent as it is."""
    sent = within_limits(report)
    assert sent == read_report(json.loads(json.dumps(report_document(sent))))
    if not [*report_problems(report)]:
        assert report == sent


def test_the_most_important_findings_are_sent_and_the_rest_is_counted() -> None:
    """Those that are broken now before those that were mended, and the newest of them."""
    mended = [finding(n, Severity.REPAIRED) for n in range(30)]
    broken = [finding(n) for n in range(30, 90)]
    report = Report("farm", (), (), (*mended, *broken))
    sent = within_limits(report).findings
    assert MAX_FINDINGS == len(sent)
    assert broken[-49:] == list(sent[:-1])
    assert sent[-1].detail.startswith("41 more findings")


def test_too_many_vips_and_tunnels_are_not_sent() -> None:
    """A report that is refused would be no sign of life."""
    vips = tuple(IPv4Address(n) for n in range(10_001))
    sent = within_limits(Report("farm", vips, (Tunnel("ipip"),) * 101))
    assert (10_000, 100) == (len(sent.ready), len(sent.tunnels))
