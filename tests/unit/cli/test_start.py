"""The command's start: what it lists, and what it does not load."""

import gc
import json
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lvsctl.cli import options
from lvsctl.cli.main import COMMANDS, lvsctl
from lvsctl.client import address

HEAVY = (
    *("fastapi", "pydantic", "uvicorn", "pyroute2", "httpx", "yaml", "rich", "cattrs", "asyncio"),
    "re2",
)
PROBE = """
import sys, json
from lvsctl.cli.main import lvsctl
try:
    lvsctl(sys.argv[1:], prog_name="lvsctl")
except SystemExit as end:
    print(json.dumps([end.code, sorted(set(json.loads(sys.stdin.read())) & set(sys.modules))]))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in COMMANDS),
        ["apply", "--help"],
        ["service", "set", "--help"],
        ["director", "run", "--help"],
        ["agent", "run", "--help"],
        ["agent", "leave", "--help"],
    ],
    ids=" ".join,
)
def test_asking_for_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Completion and help answer at once, also where the director's extra is not installed."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        input=json.dumps(HEAVY),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [0, []] == json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str) -> None:
    """Under its own name."""
    command = lvsctl.get_command(click.Context(lvsctl), name)
    assert command is not None
    assert name == command.name


def test_the_list_names_every_command_with_its_summary() -> None:
    """Without loading one."""
    help_text = CliRunner().invoke(lvsctl, ["--help"]).output
    width = max(map(len, COMMANDS))
    for name, entry in COMMANDS.items():
        assert f"  {name:<{width}}  {entry.summary}"[:70] in help_text
    assert "3 something found" in help_text


@pytest.mark.parametrize(
    "arguments",
    [
        ["servce"],
        ["service"],
        ["service", "show"],
        ["service", "list", "--colour"],
        ["service", "list", "-o", "xml"],
        ["service", "set", "web"],
        ["service", "add", "web", "--ports", "80,x"],
        ["service", "add", "web", "--persistence", "300"],
        ["service", "add", "web", "--persistence", "300s/x"],
        ["service", "add", "web", "--fwmark", "x"],
        ["service", "adopt"],
        ["service", "adopt", "web", "--all"],
        ["server", "set", "rs1", "--state", "asleep"],
        ["server", "set", "rs1", "--weight", "x"],
        ["server", "set", "rs1", "--weight", "5", "--address", "192.0.2.1"],
        ["server", "add", "rs1", "--pool", "web"],
        ["pause", "--for", "5"],
        ["apply"],
        ["director", "run", "--listen", "8080"],
        ["director", "run", "--listen", "[::1]:70000"],
        ["director", "run", "--ipvs", "magic"],
        ["agent", "run", "--pool", "web"],
        ["agent", "run", "--director", "http://lb1", "--pool", "a", "--address", "rs1"],
        ["agent", "leave", "--deadline", "soon"],
    ],
    ids=" ".join,
)
def test_wrong_use_ends_with_status_2(arguments: list[str]) -> None:
    """And a hint at the help; no director is asked and no daemon starts."""
    result = CliRunner().invoke(lvsctl, arguments)
    assert (2, True) == (result.exit_code, "Usage:" in result.output)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"LVSCTL_URL": "http://127.0.0.1:1"}, "lvsctl: no director answers at http://127.0.0.1:1"),
        (
            {"LVSCTL_URL": "lb1"},
            "lvsctl: --url lb1: a URL starts with http:// or https://, or is unix:PATH",
        ),
        (
            {"LVSCTL_URL": "http://lb1", "LVSCTL_TOKEN_FILE": "/missing"},
            "lvsctl: --token-file /missing: ",
        ),
    ],
)
def test_a_failure_ends_with_status_1_and_a_sentence(
    environment: dict[str, str], message: str
) -> None:
    """On the standard error, without a traceback."""
    result = CliRunner().invoke(lvsctl, ["service", "list"], env=environment)
    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(message)


@pytest.mark.parametrize(
    "command",
    [
        ["director", "run", "--shared-token-until", "2100-01-01"],
        ["agent", "run", "--director", "http://127.0.0.1:1", "--state-dir", "agent"],
        ["service", "list", "--url", "http://127.0.0.1:1"],
        ["doctor", "--role", "director"],
    ],
    ids=" ".join,
)
def test_a_token_that_others_can_read_is_refused(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every command that takes one, before it does anything."""
    monkeypatch.chdir(tmp_path)
    Path("agent").mkdir()
    Path("token").write_text("0123456789abcdef")
    Path("token").chmod(0o644)
    result = CliRunner().invoke(lvsctl, [*command, "--token-file", "token"])
    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.splitlines()[-1].startswith("lvsctl: --token-file token: others can read")
    assert result.stderr.endswith("chmod 0600 token\n")


@pytest.fixture
def unclosed() -> Iterator[None]:
    """Pass over what httpcore leaves to the garbage collector: a UNIX socket without a peer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.usefixtures("unclosed")
def test_where_no_director_is_named_the_one_on_this_host_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over its socket; one that nobody listens on is said, with who may use it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(address, "LOCAL_SOCKETS", ("missing", "director.sock"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind("director.sock")
    result = CliRunner().invoke(lvsctl, ["service", "list"])
    assert (1, "") == (result.exit_code, result.stdout)
    message = "lvsctl: no director answers at unix:director.sock: [Errno 111] Connection refused"
    assert result.stderr.startswith(message)
    assert "Only root and the director's user" in result.stderr


@pytest.mark.usefixtures("unclosed")
def test_where_no_director_is_named_or_seen_the_ways_to_one_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And none is guessed."""
    monkeypatch.setattr(address, "LOCAL_SOCKETS", ("/missing/director.sock",))
    monkeypatch.setattr(options, "LOCAL_ADDRESS", "unix:/missing/director.sock")
    result = CliRunner().invoke(lvsctl, ["service", "list"])
    assert (1, "") == (result.exit_code, result.stdout)
    assert "at unix:/missing/director.sock: [Errno 2] No such file" in result.stderr
    for told in ("systemctl status lvsctl-director", "sudo", "--url", "LVSCTL_URL"):
        assert told in result.stderr


def test_an_agent_that_never_ran_has_no_status() -> None:
    """The message names the folder."""
    result = CliRunner().invoke(lvsctl, ["agent", "status", "--state-dir", "/missing"])
    assert (1, "lvsctl: no agent has run with --state-dir /missing\n") == (
        result.exit_code,
        result.stderr,
    )
