"""The command line against the real app: what is asked, what is printed, what is changed."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lvsctl.cli.client import Answer, DirectorClient
from lvsctl.cli.main import lvsctl
from lvsctl.farm.status import ServerId
from lvsctl.store.interface import ModeName
from tests.api.bench import EXAMPLE, TOKEN, Bench
from tests.api.command_line import Run, ThroughTheApp

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"


@pytest.fixture
def farm_file(tmp_path: Path) -> Callable[[object], str]:
    """Return what writes a farm file and returns its path."""

    def write(farm: object) -> str:
        path = tmp_path / "farm.yaml"
        text = farm if isinstance(farm, str) else yaml.safe_dump(farm, sort_keys=False)
        path.write_text(text)
        return str(path)

    return write


def without(name: str) -> dict[str, Any]:
    """Return the example farm without one of its services."""
    return {
        **EXAMPLE,
        "services": [service for service in EXAMPLE["services"] if service["name"] != name],
    }


# --- the farm file --------------------------------------------------------------------------


def test_diff_finds_nothing_in_the_farm_that_stands(run: Run, farm_file: Callable) -> None:
    """Status 0."""
    assert "nothing to change\n" == run("diff", "-f", farm_file(dict(EXAMPLE))).stdout


def test_diff_finds_a_change_and_changes_nothing(
    run: Run, farm_file: Callable, bench: Bench
) -> None:
    """Status 3, with what it would do in the kernel; a drastic one too."""
    before = bench.revision
    shown = run("diff", "-f", farm_file(without("dns")), status=3).stdout
    in_short = "in the kernel: 1 operation (--operations lists them)\n"
    assert f"- /services/dns\n\n{in_short}" == shown
    listed = run("diff", "--operations", "-f", farm_file(without("dns")), status=3).stdout
    assert listed.endswith("in the kernel:\n  delete service udp 198.51.100.53:53\n")
    drastic = run("diff", "-f", farm_file({"services": [], "pools": []}), status=3)
    assert "- /services/marked" in drastic.stdout
    assert before == bench.revision


def test_diff_goes_field_by_field(run: Run, farm_file: Callable) -> None:
    """Old and new, by the names of the farm file; as a structure for scripts."""
    farm = copy.deepcopy(dict(EXAMPLE))
    farm["pools"][0]["real_servers"][1]["weight"] = 70
    farm["pools"][0]["real_servers"].append({"name": "rs3", "address": "192.0.2.13"})
    farm["services"][0]["ports"] = [80]
    path = farm_file(farm)
    farm["pools"][0]["health_checks"] = [{"type": "tcp", "port": 80}]
    path = farm_file(farm)
    assert [
        "+ /pools/web/health_checks/0",
        "~ /pools/web/real_servers/rs2/weight 50 → 70",
        "+ /pools/web/real_servers/rs3",
        "~ /services/web/ports [80, 443] → [80]",
    ] == run("diff", "-f", path, status=3).stdout.splitlines()[:4]
    answer = json.loads(run("diff", "-f", path, "-o", "json", status=3).stdout)
    assert {
        "op": "change",
        "path": "/pools/web/real_servers/rs2/weight",
        "old": 50,
        "new": 70,
    } in answer["differences"]


def test_what_is_exported_is_taken_back(run: Run, bench: Bench, tmp_path: Path) -> None:
    """Nothing is lost and nothing is added."""
    path = tmp_path / "farm.yaml"
    path.write_text(run("export").stdout)
    assert "nothing to change\n" == run("diff", "-f", str(path)).stdout
    assert bench.get("/v1/farm").json() == json.loads(run("export", "-o", "json").stdout)


def test_apply_stores_only_what_it_has_shown(
    run: Run, farm_file: Callable, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's change in between is not undone."""
    put = DirectorClient.put

    def interrupted(client: DirectorClient, *path: str, **more: Any) -> Answer:  # noqa: ANN401
        answer = put(client, *path, **more)
        bench.patch("/v1/services/web", json={"scheduler": "lc"})
        return answer

    monkeypatch.setattr(DirectorClient, "put", interrupted)
    assert "run it again" in run("apply", "-f", farm_file(without("dns")), status=1).stderr
    assert "dns" in bench.daemon.state.farm.services


def test_apply_makes_it_so(run: Run, farm_file: Callable, bench: Bench) -> None:
    """And says what it did, and under which revision."""
    shown = run("apply", "-f", farm_file(without("dns"))).stdout
    assert "dns" not in bench.daemon.state.farm.services
    assert f"stored as revision {bench.revision}, applied by the kernel" in shown
    assert "nothing to change\n" == run("apply", "-f", farm_file(without("dns"))).stdout


def test_apply_reads_the_standard_input(run: Run, bench: Bench) -> None:
    """For a pipe."""
    run("apply", "-f", "-", input=yaml.safe_dump(without("dns")))
    assert "dns" not in bench.daemon.state.farm.services


def test_a_dry_run_changes_nothing(run: Run, farm_file: Callable, bench: Bench) -> None:
    """It says the same as the apply would."""
    before = bench.revision
    assert "- /services/dns" in run("apply", "--dry-run", "-f", farm_file(without("dns"))).stdout
    assert before == bench.revision


def test_a_drastic_apply_must_be_forced(run: Run, farm_file: Callable, bench: Bench) -> None:
    """The plan is shown, and the way to do it all the same."""
    path = farm_file({"services": [], "pools": []})
    refused = run("apply", "-f", path, status=1).stderr
    assert "it removes 3 of 3 services" in refused
    assert "  delete service udp 198.51.100.53:53\n" in refused
    assert refused.endswith("to do it anyway, use --force\n")
    assert 3 == len(bench.daemon.state.farm.services)
    run("apply", "--force", "-f", path)
    assert {} == dict(bench.daemon.state.farm.services)


def test_what_the_director_refuses_is_shown_at_its_line(
    run: Run, farm_file: Callable, bench: Bench
) -> None:
    """Every problem in the file, nothing stored."""
    before = bench.revision
    path = farm_file(
        "services:\n"
        "  - name: web\n"
        "    vip: 192.0.2.11\n"
        "    ports: [80, 70000]\n"
        "    pool:\n"
        "      mail\n"
        "pools:\n"
        "  - name: web\n"
        "    real_servers:\n"
        "      - {name: rs1, address: 192.0.2.11, weight: -1}\n"
    )
    taken = "192.0.2.11 is the address of real server web/rs1"
    assert run("apply", "-f", path, status=1).stderr.splitlines() == [
        f"{path}:3: /services/0/vip: {taken} (allowed: an address of its own)",
        f"{path}:4: /services/0/ports/1: 70000 is out of range (allowed: 1 to 65535)",
        f"{path}:5: /services/0/pool: there is no pool 'mail' (allowed: web)",
        f"{path}:10: /pools/0/real_servers/0/weight: -1 is out of range (allowed: 0 to 65535)",
    ]
    assert before == bench.revision


def test_a_field_that_is_missing_is_shown_at_its_object(run: Run, farm_file: Callable) -> None:
    """And one that does not exist at its own line."""
    path = farm_file("services:\n  - name: web\n    colour: red\n    pool: web\npools: []\n")
    lines = run("apply", "-f", path, status=1).stderr.splitlines()
    assert [f"{path}:2: /services/0/vip:", f"{path}:3: /services/0/colour:"] == sorted(
        " ".join(line.split()[:2]) for line in lines
    )


def test_a_farm_that_does_not_name_its_sections_is_refused(run: Run, farm_file: Callable) -> None:
    """An empty mapping is no order to remove everything."""
    lines = run("apply", "--force", "-f", farm_file("{}"), status=1).stderr.splitlines()
    assert ["/pools:", "/services:"] == sorted(line.split()[1] for line in lines)


def test_the_example_farm_is_accepted(run: Run, bench: Bench) -> None:
    """What is shipped as an example works."""
    run("apply", "--force", "--no-wait", "-f", str(EXAMPLES / "farm.yaml"))
    assert ["web", "dns", "ftp"] == list(bench.daemon.state.farm.services)


def test_apply_says_when_the_director_only_observes(run: Run, farm_file: Callable) -> None:
    """Or a person waits for what will not come. It has not been done, which scripts must see."""
    run("pause", "--for", "30m", "--reason", "switch work")
    run("apply", "--no-wait", "-f", farm_file(without("marked")))
    shown = run("apply", "-f", farm_file(without("dns")), status=1).stderr
    assert "the director only observes until 2026-01-01T00:30:00Z" in shown
    assert ": switch work; to end that: lvsctl resume" in shown


# --- the mode -------------------------------------------------------------------------------


def test_pause_and_resume(run: Run, bench: Bench) -> None:
    """By whom, why and for how long is kept."""
    run("pause", "--for", "30m", "--reason", "switch work")
    assert (ModeName.OBSERVE, "switch work") == (
        bench.daemon.mode.current.name,
        bench.daemon.mode.current.reason,
    )
    assert bench.daemon.mode.current.by
    assert "the director writes to the kernel\n" == run("resume").stdout
    assert ModeName.ENFORCE is bench.daemon.mode.current.name


def test_a_pause_out_of_range_is_refused(run: Run) -> None:
    """With what is allowed."""
    assert "(allowed: 1s to 31d)" in run("pause", "--for", "32d", status=1).stderr


# --- services -------------------------------------------------------------------------------


def test_services_are_listed(run: Run) -> None:
    """With what matters in a line each."""
    lines = run("service", "list").stdout.splitlines()
    assert "NAME    VIP            PROTOCOL  PORTS     SCHEDULER  POOL  STATE    REASON" == lines[0]
    assert "web     198.51.100.10  tcp       80,443    mh         web   applied" == lines[1]
    assert "marked  198.51.100.20  -         fwmark 7  wlc        web   applied" == lines[3]


def test_json_is_what_the_director_answers(run: Run, bench: Bench) -> None:
    """For scripts nothing is made up or left out."""
    for arguments, address in (
        (["service", "list"], "/v1/services"),
        (["service", "show", "web"], "/v1/services/web"),
        (["pool", "list"], "/v1/pools"),
        (["pool", "show", "web"], "/v1/pools/web"),
        (["agent", "list"], "/v1/agents"),
        (["plan", "show"], "/v1/plan"),
    ):
        assert bench.get(address).json() == json.loads(run(*arguments, "-o", "json").stdout)
        assert bench.get(address).json() == yaml.safe_load(run(*arguments, "-o", "yaml").stdout)


def test_a_service_is_added_changed_and_removed(run: Run, bench: Bench) -> None:
    """Each field is what was said, and what was not said stays."""
    add = ["service", "add", "shop", "--vip", "198.51.100.30", "--ports", "80,443"]
    run(*add, "--pool", "web", "--scheduler", "mh", "--persistence", "300s/24")
    document = bench.get("/v1/services/shop").json()
    assert ([80, 443], {"timeout": "5m", "netmask": 24}) == (
        document["ports"],
        document["persistence"],
    )
    refused = run(*add, "--pool", "web", status=1).stderr
    assert refused.startswith("lvsctl: service shop already exists")
    run("service", "set", "shop", "--flags", "none", "--persistence", "none", "--ports", "8080")
    document = bench.get("/v1/services/shop").json()
    assert ([8080], [], "mh", None) == (
        document["ports"],
        document["flags"],
        document["scheduler"],
        document.get("persistence"),
    )
    run("service", "set", "shop", "--flags", "default")
    assert "flags" not in bench.get("/v1/services/shop").json()
    run("service", "remove", "shop")
    assert 404 == bench.get("/v1/services/shop").status_code
    assert "lvsctl: there is no service shop\n" == run("service", "show", "shop", status=1).stderr


def test_a_service_goes_from_ports_to_a_mark(run: Run, bench: Bench) -> None:
    """In one change, as either alone is refused."""
    assert "/ports: " in run("service", "set", "web", "--fwmark", "0x10", status=1).stderr
    change = ["--fwmark", "0x10", "--ports", "none", "--protocol", "none"]
    run("service", "set", "web", *change)
    assert 16 == bench.get("/v1/services/web").json()["fwmark"]


def test_a_bad_service_is_refused_with_what_is_allowed(run: Run) -> None:
    """Pointer, detail, allowed."""
    refused = run("service", "set", "web", "--scheduler", "foo", status=1).stderr
    assert refused.startswith("lvsctl: /scheduler: 'foo' is no scheduler (allowed: rr, wrr,")


def test_a_service_is_shown_with_its_destinations(run: Run) -> None:
    """And why a server is not serving as declared."""
    run("server", "drain", "rs2", "--reason", "new disk")
    shown = run("service", "show", "web").stdout
    assert "tcp 198.51.100.10:443  applied" in shown
    assert "rs2          192.0.2.12  -       ipip    0       draining: new disk" in shown
    assert "persistence: 5m/24" in run("service", "show", "marked").stdout


def test_a_conflict_is_adopted(run: Run, bench: Bench) -> None:
    """By name, or all there are; destinations are removed only when that is forced."""
    bench.occupy("198.51.100.40", "192.0.2.11")
    bench.occupy("198.51.100.41", "192.0.2.99")
    for name, vip in (("a", "198.51.100.40"), ("b", "198.51.100.41")):
        run("service", "add", name, "--vip", vip, "--ports", "80", "--pool", "web")
    assert "tcp 198.51.100.40:80\n" == run("service", "adopt", "a").stdout
    assert "to do it anyway, use --force" in run("service", "adopt", "--all", status=1).stderr
    assert "tcp 198.51.100.41:80\n" == run("service", "adopt", "--all", "--force").stdout
    assert "nothing to adopt\n" == run("service", "adopt", "--all").stdout


# --- pools and servers ----------------------------------------------------------------------


def test_a_pool_is_added_changed_and_removed(run: Run, bench: Bench) -> None:
    """One that is in use stays."""
    run("pool", "add", "mail", "--tunnel", "ipip")
    run("pool", "set", "mail", "--tunnel", "ipip")
    assert "/tunnel/type: " in run("pool", "set", "mail", "--tunnel", "x", status=1).stderr
    run("pool", "remove", "mail")
    assert "mail" not in bench.daemon.state.farm.pools
    assert "is used by: web, marked" in run("pool", "remove", "web", status=1).stderr


def test_pools_are_listed_and_shown(run: Run) -> None:
    """With how many of their servers get connections."""
    run("server", "drain", "rs2")
    lines = run("pool", "list").stdout.splitlines()
    assert "NAME   TUNNEL  SERVICES    REAL SERVERS  SERVING" == lines[0]
    assert "web    ipip    web,marked  2             1" == lines[1]
    assert (
        "rs2          192.0.2.12  declared  draining  -       ipip    0       draining"
        in run("pool", "show", "web").stdout
    )


def test_servers_are_listed_by_pool(run: Run) -> None:
    """All, or one pool's."""
    names = [
        (server["pool"], server["name"])
        for server in json.loads(run("server", "list", "-o", "json").stdout)["real_servers"]
    ]
    assert [("web", "rs1"), ("web", "rs2"), ("dns", "ns1")] == names
    lines = run("server", "list", "--pool", "dns").stdout.splitlines()
    assert "dns   ns1   192.0.2.21  declared  enabled  -       ipip    100" == lines[1]
    assert 2 == len(lines)


def test_a_server_is_declared_changed_and_removed(run: Run, bench: Bench) -> None:
    """With what was said."""
    run("server", "add", "rs3", "--pool", "web", "--address", "192.0.2.13", "--weight", "5")
    run("server", "set", "rs3", "--declared-weight", "7", "--upper-threshold", "90")
    document = bench.get("/v1/pools/web/real-servers/rs3").json()
    assert (7, 90) == (document["weight"], document["upper_threshold"])
    run("server", "remove", "rs3")
    assert "no pool has a real server rs3" in run("server", "remove", "rs3", status=1).stderr


def test_a_server_is_drained_and_undrained(run: Run, bench: Bench) -> None:
    """By a person, with a reason, who is kept."""
    id_ = ServerId("web", "rs1")
    run("server", "drain", "rs1", "--reason", "new disk")
    override = bench.daemon.state.status.overrides[id_]
    assert ("draining", "new disk") == (override.state, override.reason)
    assert override.by
    run("server", "undrain", "rs1")
    assert {} == dict(bench.daemon.state.status.overrides)


def test_a_run_time_weight_outlives_a_drain(run: Run, bench: Bench) -> None:
    """Each command changes what it names and keeps the rest."""
    run("server", "set", "rs1", "--weight", "7")
    run("server", "drain", "rs1")
    run("server", "undrain", "rs1")
    assert 7 == bench.daemon.state.status.overrides[ServerId("web", "rs1")].weight
    run("server", "set", "rs1", "--state", "disabled")
    override = bench.daemon.state.status.overrides[ServerId("web", "rs1")]
    assert ("disabled", 7) == (override.state, override.weight)
    run("server", "set", "rs1", "--state", "enabled", "--weight", "declared")
    assert {} == dict(bench.daemon.state.status.overrides)


def test_undraining_what_is_not_drained_is_done_already(run: Run, bench: Bench) -> None:
    """And stores nothing."""
    before = bench.revision
    assert "nothing to change\n" == run("server", "undrain", "rs1").stdout
    assert before == bench.revision


def test_a_server_of_two_pools_is_drained_in_both(run: Run, bench: Bench) -> None:
    """A host that goes down goes down in all of them; to change one, the pool must be said."""
    run("server", "add", "rs1", "--pool", "spare", "--address", "192.0.2.11")
    run("server", "drain", "rs1")
    assert {ServerId("web", "rs1"), ServerId("spare", "rs1")} == set(
        bench.daemon.state.status.overrides
    )
    run("server", "undrain", "rs1", "--pool", "spare")
    assert {ServerId("web", "rs1")} == set(bench.daemon.state.status.overrides)
    refused = run("server", "set", "rs1", "--weight", "5", status=1).stderr
    assert refused == (
        "lvsctl: several pools have a real server rs1: choose one with --pool (web, spare)\n"
    )
    assert "pool:            spare" in run("server", "show", "rs1", "--pool", "spare").stdout


def test_an_unknown_server_is_refused(run: Run) -> None:
    """In a named pool and in all."""
    assert "no pool has a real server rs9" in run("server", "drain", "rs9", status=1).stderr
    assert (
        "pool web has no real server rs9"
        in run("server", "drain", "rs9", "--pool", "web", status=1).stderr
    )


# --- agents and the kernel ------------------------------------------------------------------


@pytest.fixture
def agent(bench: Bench) -> str:
    """Let an agent join, report ready and find something."""
    bench.put("/v1/agents/rs5", json={"address": "192.0.2.15", "pools": ["web"]})
    bench.put(
        "/v1/agents/rs5/report",
        json={
            "farm_id": bench.daemon.state.farm_id,
            "ready": ["198.51.100.10"],
            "tunnels": [{"type": "ipip"}],
            "findings": [
                {
                    "severity": "broken",
                    "subject": "net.ipv4.conf.all.rp_filter",
                    "detail": "it is 1",
                    "cure": "find out who sets it",
                    "at": "2026-01-01T00:00:00Z",
                }
            ],
        },
    )
    return "rs5"


def test_agents_are_listed_shown_and_removed(run: Run, agent: str) -> None:
    """With what they found and what is awaited of them."""
    assert "rs5   192.0.2.15  web    joined      0s ago       1" in run("agent", "list").stdout
    shown = run("agent", "show", agent).stdout
    assert "accepts:     ipip" in shown
    assert "ready:       198.51.100.10 over ipip" in shown
    assert "awaited:     198.51.100.20 over ipip" in shown
    assert "net.ipv4.conf.all.rp_filter  it is 1  find out who sets it" in shown
    run("agent", "remove", agent)
    assert "there is no agent rs5" in run("agent", "show", agent, status=1).stderr


def test_a_server_that_an_agent_brought_is_shown(run: Run, agent: str) -> None:
    """With its agent."""
    shown = run("server", "show", agent).stdout
    assert "origin:          agent" in shown
    assert "last report:     0s ago" in shown


def test_the_table_is_shown_as_it_is_in_the_kernel(run: Run, bench: Bench) -> None:
    """Ours and others', with their destinations."""
    bench.occupy("198.51.100.99", "192.0.2.98")
    shown = run("table", "show").stdout
    assert "udp 198.51.100.53:53   dns      rr ops" in shown
    assert "fwmark 7               marked   wlc 5m/24" in shown
    assert "tcp 198.51.100.99:80   -        rr" in shown
    assert "192.0.2.98:80   ipip    1" in shown


def test_the_table_shows_health_checks_below_the_rest(run: Run, bench: Bench) -> None:
    """Under a heading of their own, with the server that they lead to."""
    assert "health checks" not in run("table", "show").stdout
    bench.check_health("dns")
    _, below = run("table", "show").stdout.split("for health checks:\n")
    _, head, destination = below.splitlines()
    assert ["fwmark", "1280704512", "-", "rr"] == head.split()[:4]
    assert ["192.0.2.21:0", "ipip", "1"] == destination.split()[:3]


def test_the_plan_says_what_differs(run: Run, bench: Bench) -> None:
    """Nothing, or conflicts and what is foreign."""
    assert "nothing to change\n" == run("plan", "show").stdout
    bench.occupy("198.51.100.99")
    bench.occupy("198.51.100.98")
    run("service", "add", "a", "--vip", "198.51.100.98", "--ports", "80", "--pool", "web")
    shown = run("plan", "show").stdout
    assert "not managed by lvsctl:\n  tcp 198.51.100.99:80" in shown
    assert "tcp 198.51.100.98:80 of service a" in shown


def test_the_status_names_what_is_not_well(run: Run, bench: Bench, agent: str) -> None:
    """In one look."""
    bench.occupy("198.51.100.98")
    run("service", "add", "a", "--vip", "198.51.100.98", "--ports", "80", "--pool", "web")
    run("plan", "show")
    run("pause", "--reason", "switch work")
    shown = run("status").stdout
    assert "director: lb1" in shown
    assert "mode:     the director only observes" in shown
    assert "3 applied" in shown
    assert "service a is conflict: " in shown
    assert f"agent {agent}: net.ipv4.conf.all.rp_filter: it is 1; find out who sets it" in shown


# --- who asks -------------------------------------------------------------------------------


def test_another_token_is_refused(bench: Bench) -> None:
    """With the way to give the right one."""
    result = CliRunner().invoke(
        lvsctl,
        ["service", "list"],
        obj=ThroughTheApp(bench),
        env={"LVSCTL_URL": "http://lb1", "LVSCTL_TOKEN": "x"},
    )
    assert (1, True) == (
        result.exit_code,
        "give --token-file or set LVSCTL_TOKEN" in result.stderr,
    )


def test_a_token_may_be_in_a_file(bench: Bench, tmp_path: Path) -> None:
    """Its last line may end."""
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(f"{TOKEN}\n")
    result = CliRunner().invoke(
        lvsctl,
        ["service", "list", "--url", "http://lb1", "--token-file", str(path)],
        obj=ThroughTheApp(bench),
    )
    assert 0 == result.exit_code, result.output
