"""The agent's configuration."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from lvsctl.net import IPAddress

DEFAULT_STATE_DIR = Path("/var/lib/lvsctl-agent")
DEFAULT_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """An agent's configuration.

    Attributes:
        directors: URLs of the directors' REST API, tried in turn.
        pools: Names of the pools to join; empty for point-to-point tunnels alone.
        name: Unique among the agents.
        address: The real server's address (RIP), where directors send tunnelled packets; None for
            the source address towards the first director.
        weight: Weight in pools that do not declare the address; 0 to 65535.
        state_dir: Folder for state that must outlive the process.
        token_file: File with the bearer token; None if the directors need none.
        ca_file: Certificate authority of the directors, for https; None for the public ones.
    """

    directors: tuple[str, ...]
    pools: tuple[str, ...]
    name: str = field(default_factory=socket.gethostname)
    address: IPAddress | None = None
    weight: int = DEFAULT_WEIGHT
    state_dir: Path = DEFAULT_STATE_DIR
    token_file: Path | None = None
    ca_file: Path | None = None
