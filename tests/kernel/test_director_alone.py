"""A kernel has one director, even when its state folder is moved away from under it."""

from http import HTTPStatus
from pathlib import Path

from deploy.lab.daemons import API_PORT
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from lvsctl.director import main as director_main
from lvsctl.director.main import DirectorConfig
from tests.kernel.farms import VIP, service, start
from tests.kernel.test_farm_changes import saved

START_WITHIN_S = 30


def test_a_director_whose_state_folder_is_moved_away_stays_the_only_one(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """A second one does not start, nothing that serves changes, and writes are refused.

    With the folder back where it was, they are taken again.
    """
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    first = daemons.director
    assert first is not None
    config = DirectorConfig(
        listen_host=built.address("lb1"),
        listen_port=API_PORT + 1,
        state_dir=daemons.director_state,
        token_file=daemons.token_file(),
    )
    before = saved(built)
    change = service(scheduler="lc")
    web = f"/v1/services/{change['name']}"

    with Load(built["c1"], VIP, per_s=50, for_s=10, timeout_s=5) as load:
        poll(lambda: len(load.so_far()) > 50, 30)
        aside = daemons.director_state.rename(tmp_path / "aside")
        second = built["lb1"].fork(lambda: director_main.run(config), "second")
        assert second.wait(START_WITHIN_S)
        refused = daemons.api.ask("PUT", web, change)
        answers = load.finish()

    assert f"process {first.pid} is the director of this network namespace" in second.tail()
    assert not daemons.director_state.exists()
    assert HTTPStatus.SERVICE_UNAVAILABLE == refused.status_code
    assert "Move it back" in refused.json()["detail"]
    assert [] == [answer for answer in answers if answer.error]
    assert before == saved(built)
    aside.rename(daemons.director_state)
    assert daemons.api.put(f"{web}?wait=10", change)["applied"]
