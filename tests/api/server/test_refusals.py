"""What is logged of refusals does not grow with them."""

from structlog.testing import capture_logs

from api.server.refusals import LOG_EVERY_S, RefusalLog


def test_the_first_is_logged_at_once_and_the_others_together() -> None:
    now_s = 0.0
    refusals = RefusalLog(lambda: now_s)
    with capture_logs() as lines:
        for _ in range(1000):
            refusals.record("a")
        refusals.record("b")
        assert [{"a": 1}] == [line["counts"] for line in lines]
        now_s = LOG_EVERY_S - 1
        refusals.flush()
        assert 1 == len(lines)
        now_s = LOG_EVERY_S
        refusals.flush()
        refusals.flush()
    assert [{"a": 1}, {"a": 999, "b": 1}] == [line["counts"] for line in lines]
