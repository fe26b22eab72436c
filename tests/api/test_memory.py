"""A director's memory under hostile requests, round after round."""

from pathlib import Path

from tests.api.bench import EXAMPLE
from tests.api.test_hostile_client import ask
from tests.support.director_process import director_process
from tests.support.hostile_rounds import play_round
from tests.support.process_usage import memory_bytes

WARM_UP_ROUNDS, ROUNDS = 3, 12
MAX_GROWTH_BYTES = 20 * 1024 * 1024


def test_hostile_requests_leave_nothing_behind(tmp_path: Path) -> None:
    """What they take is given back; what is allocated once is there after the first rounds."""
    with director_process(tmp_path) as director:
        assert ask(director, "PUT", "/v1/farm?wait=30", EXAMPLE)["applied"]
        for _ in range(WARM_UP_ROUNDS):
            play_round(director)
        before = memory_bytes(director.process.pid)
        for _ in range(ROUNDS):
            play_round(director)
        assert memory_bytes(director.process.pid) - before < MAX_GROWTH_BYTES
