"""When a silence of several servers is suspicious."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.health.silence import Silence

RS1, RS2, RS3 = (IPv4Address(f"192.0.2.{number}") for number in (11, 12, 13))
EVENTS = st.lists(st.tuples(st.sampled_from([RS1, RS2, RS3]), st.booleans()), max_size=30)


def test_servers_that_fall_silent_together_are_suspicious_of_being_well() -> None:
    """Each of them, from the second on."""
    one = Silence().heard(RS3, 1).silent(RS1, 2)
    assert not one.together_with(RS1)
    both = one.silent(RS2, 3)
    assert {RS1, RS2} == both.together_with(RS1) == both.together_with(RS2)


def test_an_answer_from_anybody_ends_the_suspicion() -> None:
    """Those that stay silent are dead, and so they are when others fall silent later."""
    silence = Silence().silent(RS1, 1).silent(RS2, 2).heard(RS3, 3)
    assert not silence.together_with(RS1)
    assert not silence.silent(RS3, 4).together_with(RS3)


def test_who_is_asked_no_more_does_not_count() -> None:
    """A removed server says nothing about the director."""
    assert not Silence().silent(RS1, 1).silent(RS2, 2).among([RS1]).together_with(RS1)


def test_what_fell_silent_first_waits_until_the_others_were_asked() -> None:
    """Unless somebody answered meanwhile: then it is silent alone."""
    silence = Silence().among([RS1, RS2, RS3]).heard(RS3, 1).silent(RS1, 2)
    assert {RS2, RS3} == silence.unheard_since(RS1)
    assert {RS3} == silence.silent(RS2, 3).unheard_since(RS1)
    assert {RS3} == silence.asked(RS2, 3).unheard_since(RS1)
    assert not silence.silent(RS2, 3).silent(RS3, 4).unheard_since(RS1)
    assert not silence.heard(RS2, 3).unheard_since(RS1)


@given(EVENTS)
def test_who_answered_last_is_never_suspected(events: list[tuple[IPv4Address, bool]]) -> None:
    """And nobody who fell silent before the last answer."""
    silence, last_answer = Silence(), None
    first_silent: dict[IPv4Address, int] = {}
    for at, (server, answers) in enumerate(events):
        if answers:
            silence, last_answer = silence.heard(server, at), at
            first_silent.pop(server, None)
        else:
            silence = silence.silent(server, at)
            first_silent.setdefault(server, at)
    since = -1 if last_answer is None else last_answer
    expected = {server for server, at in first_silent.items() if at >= since}
    for server in (RS1, RS2, RS3):
        suspected = expected if server in expected and len(expected) > 1 else set()
        assert suspected == silence.together_with(server)
