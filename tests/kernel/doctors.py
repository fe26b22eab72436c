"""lvsctl doctor on the hosts of a farm, as a person there would call it."""

import json
from collections.abc import Sequence

from click.testing import CliRunner

from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.errors import LabError
from deploy.lab.node import Node
from lvsctl.cli.main import lvsctl

NOWHERE = "/nonexistent"


def call(node: Node, *arguments: str, status: Sequence[int] = (0, 3)) -> Json:
    """Return what ``lvsctl doctor --json`` prints on a node.

    Raises:
        LabError: It ends with another status, or that does not fit to what it says.
    """
    with node.enter():
        done = CliRunner().invoke(lvsctl, ["doctor", "--json", *arguments])
    if done.exit_code not in status:
        raise LabError(f"doctor on {node.name} ended with {done.exit_code}: {done.output}") from (
            done.exception
        )
    answer: Json = json.loads(done.stdout)
    if (done.exit_code == 3) != bool(answer["findings"]):
        raise LabError(f"doctor on {node.name}: status {done.exit_code} with {done.stdout}")
    return answer


def on_real_server(daemons: FarmDaemons, name: str, *arguments: str) -> Json:
    """Call it on a real server with an agent."""
    folders = ("--state-dir", str(daemons.agent_state(name)), "--director-state-dir", NOWHERE)
    return call(daemons.network[name], *folders, *arguments)


def on_director(daemons: FarmDaemons, *arguments: str) -> Json:
    """Call it on the director."""
    folders = ("--director-state-dir", str(daemons.director_state), "--state-dir", NOWHERE)
    api = ("--url", daemons.url, "--token-file", str(daemons.token_file()))
    return call(daemons.network[daemons.director_on], *folders, *api, *arguments)


def checks(answer: Json) -> list[str]:
    """Return the names of the checks that found something, each once, in order."""
    return list(dict.fromkeys(found["check"] for found in answer["findings"]))  # type: ignore[attr-defined]
