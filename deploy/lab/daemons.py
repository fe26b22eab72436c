"""The product's daemons in the lab: a director, agents, and a person who talks to the API."""

import contextlib
import http.client
import json
import resource
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn

import lvsctl.agent.main as agent_main
import lvsctl.director.main as director_main
from api.app import prepared_app
from deploy.lab.errors import LabError
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.poll import poll
from deploy.lab.process import NodeProcess
from lvsctl.agent.config import AgentConfig
from lvsctl.director.main import DirectorConfig

API_PORT = 8080
READY_WITHIN_S = 60.0
FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)

Json = dict[str, object]

# A node forks from this process. What it has loaded and made, no daemon has to: a director is there
# after 0.3 s instead of 2.5 s.
uvicorn.Config(prepared_app(), lifespan="off", log_config=None).load()
httpx.AsyncClient()
for loaded_late in ("api.server.server", "anyio._backends._asyncio", "re2"):
    import_module(loaded_late)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What the director answered.

    Attributes:
        asked: Method and path.
        status_code: Of HTTP.
        text: The body.
        headers: Of the answer; names are in small letters.
    """

    asked: str
    status_code: int
    text: str
    headers: Mapping[str, str]

    @property
    def is_success(self) -> bool:
        """Whether it did what was asked."""
        return HTTPStatus.OK <= self.status_code < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> Any:  # noqa: ANN401 - JSON can be anything
        """Return what the body says."""
        return json.loads(self.text)


@dataclass
class Api:
    """A person at a node with a URL and a token.

    Attributes:
        node: Where requests come from.
        url: Of the director.
        token: The bearer token; empty for none.
    """

    node: Node
    url: str
    token: str = ""

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30,
    ) -> ApiAnswer:
        """Send one request over a connection of its own and return whatever is answered.

        Raises:
            OSError, http.client.HTTPException: Nothing is.
        """
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        content = {} if body is None else {"Content-Type": "application/json"}
        text = None if body is None else json.dumps(body)
        # httpx, which the product speaks, would take longer for this than the director.
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout_s)
        with self.node.enter(), contextlib.closing(connection):
            connection.request(method, path, text, {**own, **content, **(headers or {})})
            answer = connection.getresponse()
            said = {name.lower(): value for name, value in answer.getheaders()}
            return ApiAnswer(f"{method} {path}", answer.status, answer.read().decode(), said)

    def get(self, path: str) -> Json:
        """Return what a GET answers; raise LabError where it is no success."""
        return _success(self.ask("GET", path))

    def put(self, path: str, body: object) -> Json:
        """PUT and return the answer; raise LabError where it is no success."""
        return _success(self.ask("PUT", path, body))

    def patch(self, path: str, body: object) -> Json:
        """PATCH and return the answer; raise LabError where it is no success."""
        return _success(self.ask("PATCH", path, body))

    def post(self, path: str, body: object = None) -> Json:
        """POST and return the answer; raise LabError where it is no success."""
        return _success(self.ask("POST", path, body))

    def delete(self, path: str) -> Json:
        """DELETE and return the answer; raise LabError where it is no success."""
        return _success(self.ask("DELETE", path))

    def is_ready(self) -> bool:
        """Say whether the director answers and has compared its kernel."""
        return self._succeeds("/readyz")

    def is_up(self) -> bool:
        """Say whether the director answers."""
        return self._succeeds("/healthz")

    def _succeeds(self, path: str) -> bool:
        try:
            return self.ask("GET", path, timeout_s=5).is_success
        except (OSError, http.client.HTTPException):
            return False


def _success(answer: ApiAnswer) -> Json:
    if not answer.is_success:
        raise LabError(f"{answer.asked}: {answer.text}")
    return dict(answer.json()) if answer.text else {}


@dataclass
class FarmDaemons:
    """A director and agents on a network, with one token for all.

    Attributes:
        network: Their hosts.
        state: Folder below which each daemon has its own.
        director_on: The director's host.
        confine: Called in the process of each daemon before it starts.
    """

    network: Network
    state: Path
    director_on: str = "lb1"
    confine: Callable[[], None] = lambda: None
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    agents: dict[str, NodeProcess] = field(default_factory=dict)
    director: NodeProcess | None = None

    @property
    def url(self) -> str:
        """Where agents and people reach the director."""
        return f"http://{self.network.address(self.director_on)}:{API_PORT}"

    @property
    def api(self) -> Api:
        """A person on the director's host."""
        return Api(self.network[self.director_on], self.url, self.token)

    @property
    def director_state(self) -> Path:
        """The director's state folder."""
        return self.state / self.director_on

    def agent_state(self, server: str) -> Path:
        """Return the state folder of a server's agent."""
        return self.state / server

    def token_file(self) -> Path:
        """Return the file with the token, written at first use."""
        path = self.state / "token"
        if not path.exists():
            self.state.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)
            path.write_text(self.token)
        return path

    def start_director(
        self, *, descriptors: int | None = None, ready: bool = True, **changes: object
    ) -> NodeProcess:
        """Start the director and wait until it has compared its kernel.

        Args:
            descriptors: How many it may have open; by default as many as this process.
            ready: Wait until it is; else until it answers.
            changes: Of its configuration.
        """
        config = DirectorConfig(
            listen_host=self.network.address(self.director_on),
            listen_port=API_PORT,
            state_dir=self.director_state,
            token_file=self.token_file(),
            shared_token_until=FAR_FUTURE,
            **changes,  # type: ignore[arg-type]
        )
        node = self.network[self.director_on]

        def run() -> None:
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
            self.confine()
            director_main.run(config)

        self.director = node.fork(run, "director")
        poll(self.api.is_ready if ready else self.api.is_up, READY_WITHIN_S)
        return self.director

    def start_agent(
        self,
        server: str,
        pools: Sequence[str] = ("web",),
        directors: Sequence[str] = (),
        **changes: object,
    ) -> NodeProcess:
        """Start the agent of a real server.

        Args:
            server: Its host.
            pools: What it joins.
            directors: URLs that it asks; this farm's director, if not given.
            changes: Of its configuration.
        """
        config = AgentConfig(
            directors=tuple(directors) or (self.url,),
            pools=tuple(pools),
            name=server,
            state_dir=self.agent_state(server),
            token_file=self.token_file(),
            **changes,  # type: ignore[arg-type]
        )

        def run() -> None:
            self.confine()
            agent_main.run(config)

        self.agents[server] = self.network[server].fork(run, "agent")
        return self.agents[server]

    def wait_until_served_by(
        self, service: str, servers: Sequence[str], within_s: float = 30
    ) -> None:
        """Wait until exactly these real servers take new connections of a service.

        It asks the director's kernel, not the director.
        """
        addresses = {self.network.address(server) for server in servers}
        poll(lambda: self.served(service), within_s, until=lambda found: found == addresses)

    def served(self, service: str) -> set[str]:
        """Return the addresses with a weight above 0 in all virtual services of a service."""
        document = self.api.get(f"/v1/services/{service}")
        saved = self.network[self.director_on].run(["ipvsadm", "-Sn"]).stdout
        vip = _bracketed(str(document["vip"]))
        found: list[set[str]] = []
        for port in document["ports"]:  # type: ignore[attr-defined]
            prefix = f"-a -t {vip}:{port} -r "
            lines = [line for line in saved.splitlines() if line.startswith(prefix)]
            found.append(
                {
                    line.removeprefix(prefix).split(f":{port} ")[0].strip("[]")
                    for line in lines
                    if " -w 0" not in f"{line} "
                }
            )
        return set.intersection(*found) if found else set()


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
