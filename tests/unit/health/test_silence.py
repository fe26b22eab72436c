"""SilenceCorrelator: servers that fall silent together suggest a fault of the director."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.health.silence import SilenceCorrelator

RS1, RS2, RS3 = SERVERS = tuple(IPv4Address(f"192.0.2.{number}") for number in (11, 12, 13))
EVENTS = st.lists(st.tuples(st.sampled_from(SERVERS), st.sampled_from("?-+")), max_size=30)


def silence_of(*events: tuple[IPv4Address, str]) -> SilenceCorrelator:
    """Return a correlator after probes, one a second: + answered, - silent, ? inconclusive."""
    silence = SilenceCorrelator()
    silence.retain(SERVERS)
    for at, (server, how) in enumerate(events):
        {"+": silence.record_answer, "-": silence.record_silence, "?": silence.record_inconclusive}[
            how
        ](server, at)
    return silence


def test_servers_that_fall_silent_together_are_suspicious() -> None:
    """All of them, from the second one on."""
    assert not silence_of((RS3, "+"), (RS1, "-")).suspects(RS1)
    both = silence_of((RS3, "+"), (RS1, "-"), (RS2, "-"))
    assert {RS1, RS2} == both.suspects(RS1) == both.suspects(RS2)


def test_an_answer_of_any_server_ends_the_suspicion() -> None:
    """Those that stay silent are silent alone, even if others fall silent later."""
    silence = silence_of((RS1, "-"), (RS2, "-"), (RS3, "+"), (RS3, "-"))
    assert {RS1: 2, RS2: 2} == silence.others_answered_s
    assert not any(silence.suspects(server) for server in SERVERS)


def test_the_first_silent_server_waits_until_others_were_probed() -> None:
    """Unless one of them has answered: then it is silent alone."""
    begin = ((RS3, "+"), (RS1, "-"))
    assert {RS2, RS3} == silence_of(*begin).not_probed_since(RS1)
    assert {RS3} == silence_of(*begin, (RS2, "-")).not_probed_since(RS1)
    assert {RS3} == silence_of(*begin, (RS2, "?")).not_probed_since(RS1)
    assert not silence_of(*begin, (RS2, "-"), (RS3, "-")).not_probed_since(RS1)
    assert not silence_of(*begin, (RS2, "+")).not_probed_since(RS1)


def test_a_server_that_is_no_longer_probed_does_not_count() -> None:
    """A removed server says nothing about the director."""
    silence = silence_of((RS1, "-"), (RS2, "-"))
    silence.retain([RS1])
    assert not silence.suspects(RS1)
    assert not silence.not_probed_since(RS1)


@given(EVENTS)
def test_silent_alone_is_whose_silence_others_broke(events: list[tuple[IPv4Address, str]]) -> None:
    """Computed from the events alone, without the correlator's state."""
    silence = silence_of(*events)
    for server in SERVERS:
        last_answer = max((at for at, e in enumerate(events) if e == (server, "+")), default=-1)
        silent = [at for at, e in enumerate(events) if e == (server, "-") and at > last_answer]
        others = [at for at, e in enumerate(events) if e[1] == "+" and silent and at > silent[0]]
        assert (silent[0] if silent else None) == silence.silent_since_s.get(server)
        assert (others[0] if others else None) == silence.others_answered_s.get(server)
