"""The farm's past: who changed what, what it was, and the way back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lvsctl.store.commits import Retention
from tests.api.bench import EXAMPLE, AnyName, Bench
from tests.api.command_line import Run


@pytest.fixture
def changed(bench: Bench) -> int:
    """Change the example farm a few times; return the revision from before."""
    before = bench.revision
    bench.patch("/v1/pools/web/real-servers/rs1", json={"weight": 7})
    bench.put("/v1/pools/web/real-servers/rs2/override", json={"state": "draining"})
    bench.delete("/v1/services/dns")
    bench.patch("/v1/services/web", json={"scheduler": "lc"})
    bench.put("/v1/pools/late", json={})
    return before


def test_the_farm_of_an_earlier_revision(bench: Bench, changed: int) -> None:
    """As a farm file of that time; changed, removed and added objects are as they were."""
    now = bench.get("/v1/farm").json()
    then = bench.get(f"/v1/farm?revision={changed}").json()
    assert ["web", "dns", "marked"] == sorted(
        (each["name"] for each in then["services"]), key=["web", "dns", "marked"].index
    )
    assert ["web", "dns", "spare"] == [each["name"] for each in then["pools"]]
    assert 100 == then["pools"][0]["real_servers"][0]["weight"]
    assert now == bench.get(f"/v1/farm?revision={bench.revision}").json()
    nothing = bench.get("/v1/farm?revision=0").json()
    assert ([], []) == (nothing["services"], nothing["pools"])


def test_a_revision_that_is_not_known_is_refused(bench: Bench, changed: int) -> None:
    """Neither a later one, nor one that the history does not reach any more.

    Also where all that is left of it says nothing about the farm: that is not "unchanged".
    """
    later = bench.get(f"/v1/farm?revision={bench.revision + 1}")
    assert 404 == later.status_code
    bench.store._retention = Retention(commits=2)
    bench.portal.call(bench.daemon.writer._store.run, bench.store.compact)
    forgotten = bench.get(f"/v1/farm?revision={changed}")
    assert 404 == forgotten.status_code
    assert "history begins at revision" in forgotten.json()["detail"]
    for state in ("draining", "enabled", "draining"):
        bench.put("/v1/pools/web/real-servers/rs1/override", json={"state": state})
    bench.portal.call(bench.daemon.writer._store.run, bench.store.compact)
    assert 404 == bench.get(f"/v1/farm?revision={changed}").status_code


def test_the_history_says_who_changed_what(bench: Bench, changed: int) -> None:
    """The latest first, in pages, or of one object alone."""
    commits = bench.get("/v1/history?limit=2").json()["commits"]
    assert [["pool/late"], ["service/web"]] == [each["objects"] for each in commits]
    assert [bench.revision, bench.revision - 1] == [each["revision"] for each in commits]
    before = commits[-1]["revision"]
    (older,) = bench.get(f"/v1/history?limit=1&before={before}").json()["commits"]
    assert ["service/dns"] == older["objects"]
    of_web = bench.get("/v1/history?object=service/web").json()["commits"]
    assert [before, changed] == [each["revision"] for each in of_web]
    assert any("lc" in line for line in of_web[0]["changes"])
    assert all(each["by"] for each in of_web)
    assert 422 == bench.get("/v1/history?object=web").status_code


def test_a_rollback_goes_back_and_forth(bench: Bench, run: Run, changed: int) -> None:
    """It is a change itself; what is not in a farm file stays as it is."""
    late = bench.revision
    with_changes = bench.get("/v1/farm").json()
    diff = run("diff", "--revision", str(changed), status=3).stdout
    assert "~ /pools/web/real_servers/rs1/weight 7 → 100" in diff
    assert diff == run("rollback", "--dry-run", str(changed)).stdout
    assert late == bench.revision

    shown = run("rollback", str(changed)).stdout
    assert f"stored as revision {late + 1}, applied by the kernel" in shown
    then = bench.get(f"/v1/farm?revision={changed}").json()
    assert in_its_order(then) == in_its_order(bench.get("/v1/farm").json())
    assert 1 == len(bench.daemon.state.status.overrides)
    assert "nothing to change\n" == run("rollback", str(changed)).stdout

    run("rollback", str(late))
    assert in_its_order(with_changes) == in_its_order(bench.get("/v1/farm").json())


def in_its_order(farm: dict[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    """Return a farm whose objects are in the order of the example: a new one is the last."""
    names = [each["name"] for section in EXAMPLE.values() for each in section] + ["late"]
    for section in ("services", "pools"):
        farm[section].sort(key=lambda each: names.index(str(each["name"])))
    return farm


def test_a_rollback_that_removes_most_must_be_forced(bench: Bench, run: Run) -> None:
    """As every other change."""
    assert "--force" in run("rollback", "0", status=1).stderr
    run("rollback", "--force", "0")
    assert {} == dict(bench.daemon.state.farm.services)


def test_the_command_line_shows_the_history(
    run: Run, changed: int, farm_file: Callable[[object], str]
) -> None:
    """With what changed, and the farm of a revision as a file."""
    lines = run("history", "--object", "service/web").stdout
    assert f"revision {changed}" in lines
    path = farm_file(json.loads(run("export", "--revision", str(changed), "-o", "json").stdout))
    assert "+ /services/dns" in run("diff", "-f", path, status=3).stdout
    assert "either" in run("diff", status=2).stderr


@pytest.fixture
def farm_file(tmp_path: Path) -> Callable[[object], str]:
    """Return what writes a farm file and returns its path."""

    def write(farm: object) -> str:
        path = tmp_path / "farm.yaml"
        path.write_text(json.dumps(farm))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("role", "sees"), [("viewer", False), ("operator", False), ("admin", True)]
)
def test_of_tokens_only_administrators_read(bench: Bench, role: str, *, sees: bool) -> None:
    """Neither the history nor the events tell others that there is one."""
    bench.put("/v1/tokens/secret-name", json={"role": "viewer"})
    bench.patch("/v1/services/web", json={"scheduler": "lc"})
    bench.daemon.credentials = AnyName()
    headers = {"Authorization": f"Bearer {role}/ada"}
    service, token = bench.get("/v1/history?limit=2", headers=headers).json()["commits"]
    assert ["service/web"] == service["objects"]
    assert (["token/secret-name"] if sees else []) == token["objects"]
    events = bench.get("/v1/events?after=0&follow=false", headers=headers).text
    assert "change service web" in events
    assert (sees, sees) == ("secret-name" in str(token), "secret-name" in events)
    answer = bench.get("/v1/history?object=token/secret-name", headers=headers)
    assert (200 if sees else 403) == answer.status_code
