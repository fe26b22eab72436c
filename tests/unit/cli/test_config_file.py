"""The daemons' configuration: flag over environment over file."""

from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from click.testing import CliRunner

from lvsctl.agent.config import AgentConfig
from lvsctl.cli.main import lvsctl
from lvsctl.director.main import DirectorConfig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file is."""
    return tmp_path / "lvsctl.toml"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Collect the configurations of daemons instead of running them."""
    configs: list[object] = []

    def run(config: object) -> int:
        configs.append(config)
        return 0

    monkeypatch.setattr("lvsctl.director.main.run", run)
    monkeypatch.setattr("lvsctl.agent.main.run", run)
    return configs


def start(*arguments: str, **environment: str) -> None:
    """Start a daemon."""
    result = CliRunner().invoke(lvsctl, arguments, env=environment, catch_exceptions=False)
    assert (0, "") == (result.exit_code, result.output)


def test_a_director_runs_with_its_defaults(started: list[object]) -> None:
    """On loopback, with its state where packages put it."""
    start("director", "run")
    assert [DirectorConfig()] == started


def test_a_directors_file_has_its_flags_as_keys(path: Path, started: list[object]) -> None:
    """All of them."""
    path.write_text(
        """
        listen = "[::1]:9090"
        state-dir = "/srv/lvsctl"
        ipvs = "ipvsadm"
        host-name = ["lvs.example.com"]
        token-file = "/etc/lvsctl/token"
        shared-token-until = "2027-03-01"
        certificate = "/etc/lvsctl/director.pem"
        key = "/etc/lvsctl/director.key"
        socket = "/run/lvs.sock"
        observe = true
        take-sysctls = true
        history-age = "30d"
        history-commits = 500
        name = "lb1"
        """
    )
    start("director", "run", "--config", str(path))
    assert [
        DirectorConfig(
            listen_host="::1",
            listen_port=9090,
            state_dir=Path("/srv/lvsctl"),
            ipvs="ipvsadm",
            host_names=("lvs.example.com",),
            token_file=Path("/etc/lvsctl/token"),
            shared_token_until=datetime(2027, 3, 1, tzinfo=UTC),
            certificate=Path("/etc/lvsctl/director.pem"),
            key=Path("/etc/lvsctl/director.key"),
            socket=Path("/run/lvs.sock"),
            observe=True,
            take_sysctls=True,
            history_age_s=30 * 86400,
            history_commits=500,
            name="lb1",
        )
    ] == started


def test_an_agents_file_has_its_flags_as_keys(path: Path, started: list[object]) -> None:
    """Those that may be given several times are lists."""
    path.write_text(
        """
        director = ["http://lb1:8080", "http://lb2:8080"]
        pool = ["web", "dns"]
        name = "rs1"
        address = "192.0.2.11"
        weight = 5
        state-dir = "/srv/lvsctl"
        token-file = "/etc/lvsctl/token"
        ca-file = "/etc/lvsctl/ca.pem"
        """
    )
    start("agent", "run", LVSCTL_CONFIG=str(path))
    assert [
        AgentConfig(
            directors=("http://lb1:8080", "http://lb2:8080"),
            pools=("web", "dns"),
            name="rs1",
            address=IPv4Address("192.0.2.11"),
            weight=5,
            state_dir=Path("/srv/lvsctl"),
            token_file=Path("/etc/lvsctl/token"),
            ca_file=Path("/etc/lvsctl/ca.pem"),
        )
    ] == started


@pytest.mark.parametrize(
    ("flags", "environment", "name"),
    [
        ([], {}, "file"),
        ([], {"LVSCTL_NAME": "environment"}, "environment"),
        (["--name", "flag"], {"LVSCTL_NAME": "environment"}, "flag"),
        (["--name", "flag"], {}, "flag"),
    ],
)
def test_a_flag_goes_before_the_environment_and_that_before_the_file(
    path: Path, started: list[object], flags: list[str], environment: dict[str, str], name: str
) -> None:
    """Wherever the flag stands."""
    path.write_text('name = "file"')
    start("director", "run", *flags, "--config", str(path), **environment)
    assert [DirectorConfig(name=name)] == started


def test_lists_in_the_environment_are_separated_by_spaces(started: list[object]) -> None:
    """As systemd's EnvironmentFile can hold them."""
    start(
        "agent", "run", LVSCTL_DIRECTOR="http://lb1 http://lb2", LVSCTL_POOL="web", LVSCTL_NAME="a"
    )
    assert [AgentConfig(("http://lb1", "http://lb2"), ("web",), "a")] == started


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'listn = "x"',
            "unknown key 'listn'; allowed: accept-new-farm, certificate, exec-dir, exec-socket,",
        ),
        ('config = "x"', "unknown key 'config'; allowed:"),
        ("observe = 1", "observe cannot be of type int"),
        ("name = true", "name cannot be of type bool"),
        ("name = ['a']", "name cannot be of type list"),
        ('listen = "8080"', "listen: '8080' is not an address with a port, like 127.0.0.1:8080"),
        ('ipvs = "magic"', "ipvs: 'magic' is not one of"),
        ("listen =", "Invalid value (at end of document)"),
        ("[director]\nlisten = 'x'", "unknown key 'director'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(
    path: Path, started: list[object], text: str, message: str
) -> None:
    """And its path; the daemon does not start."""
    path.write_text(text)
    result = CliRunner().invoke(lvsctl, ["director", "run", "--config", str(path)])
    assert (2, []) == (result.exit_code, started)
    assert f"Invalid value for '--config': {path}: {message}" in " ".join(result.stderr.split())


def test_a_missing_file_is_refused(path: Path, started: list[object]) -> None:
    """With its path and the cause."""
    result = CliRunner().invoke(lvsctl, ["director", "run", "--config", str(path)])
    assert (2, []) == (result.exit_code, started)
    assert f"{path}: No such file or directory" in result.stderr


def test_an_end_of_no_shared_token_is_refused() -> None:
    """The director's own check reaches the person."""
    command = ["director", "run", "--shared-token-until", "2027-03-01"]
    result = CliRunner().invoke(lvsctl, command)
    assert 1 == result.exit_code
    assert "--shared-token-until needs --token-file" in result.stderr
