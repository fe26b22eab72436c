"""A reason as a value: its words, and the same after it was written and read."""

import json

import pytest
from hypothesis import given

from lvsctl.reasons.documents import read_reason, reason_document
from lvsctl.reasons.errors import DRASTIC_CHANGE
from lvsctl.reasons.general import RECORDED
from lvsctl.reasons.probes import REFUSED
from lvsctl.reasons.reason import Audience, Reason, Reasons, code_of, in_words
from lvsctl.reasons.servers import DOWN, DRAINING, NOT_UP_YET
from tests.unit import strategies


def test_what_is_empty_is_left_out_with_the_words_around_it() -> None:
    """One template has the words for all of its cases."""
    assert "draining" == str(DRAINING("web/rs1", until="", then="", note=""))
    assert "draining until 12:00, remaining connections are kept: new disk" == str(
        DRAINING("web/rs1", until="12:00", then="are kept", note="new disk")
    )


def test_a_reason_may_be_part_of_another() -> None:
    """And several of them are joined."""
    refused = REFUSED("192.0.2.11:80")
    assert "down: not up yet: 192.0.2.11:80 refused the connection; x" == str(
        DOWN(why=(NOT_UP_YET(why=refused), RECORDED(text="x")))
    )
    assert "x; y" == in_words((RECORDED(text="x"), RECORDED(text="y")))
    assert ("probe-refused", "") == (code_of((refused, RECORDED(text="x"))), code_of(()))


def test_the_command_line_has_its_own_words() -> None:
    """Who typed a command is told its flag, not a parameter of REST; inside others too."""
    drastic = DRASTIC_CHANGE(error="it removes all services")
    inside = DOWN(why=drastic)
    for reason in (drastic, inside):
        assert "force=true" in reason.words()
        assert "--force" in reason.words(Audience.COMMAND_LINE)
        assert "force=true" not in reason.words(Audience.COMMAND_LINE)


@given(strategies.any_reasons)
def test_a_reason_survives_json(reasons: Reasons) -> None:
    """Nested ones too."""
    for reason in (*reasons, DOWN("x", why=reasons)):
        document = json.loads(json.dumps(reason_document(reason)))
        assert reason == read_reason(document)


def test_text_of_an_older_version_is_a_reason_with_that_text() -> None:
    """So what was stored before there were codes is still read."""
    assert "timed out" == str(read_reason("timed out"))


def test_a_code_of_a_newer_version_is_shown_with_its_parts() -> None:
    """A person reads them until this side is upgraded."""
    newer = {"code": "on-fire", "subject": "rs1", "parameters": {"since": "noon", "no-name": 1}}
    found = read_reason(newer)
    assert ("on-fire", "on fire (rs1), since noon") == (found.code, str(found))
    assert newer == reason_document(found)


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        [],
        {},
        {"code": 7, "subject": "", "parameters": {}},
        {"code": "x", "subject": "", "parameters": []},
        {"code": "x", "subject": "", "parameters": {"a": {"b": 1}}},
    ],
)
def test_what_is_no_reason_is_refused(document: object) -> None:
    """As everything that lvsctl did not write."""
    with pytest.raises(ValueError, match="is not a reason"):
        read_reason(document)


def test_any_value_becomes_one_that_json_has() -> None:
    """Addresses and keys are put down as text."""
    made = RECORDED(text=frozenset())
    assert isinstance(made, Reason)
    assert "frozenset()" == str(made)
