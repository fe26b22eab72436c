"""Which connections have to go when there are too many."""

from dataclasses import dataclass

import pytest

from api.server.connections import Connections, source_of
from api.server.limits import MAX_ANONYMOUS, MAX_AUTHENTICATED, Budget, budget


@dataclass(eq=False)
class Client:
    """A connection that nothing comes over."""

    source: str
    is_idle: bool = True
    is_open: bool = True

    def abort(self) -> None:
        self.is_open = False

    def enforce_deadlines(self, now_s: float) -> None:
        """Never be late."""


class Office:
    """Connections, and why some were closed."""

    def __init__(self, anonymous: int = 4, authenticated: int = 4) -> None:
        self.reasons: list[str] = []
        self.connections = Connections(Budget(anonymous, authenticated), self.reasons.append)

    def connect(self, source: str, count: int = 1, *, authenticated: bool = False) -> list[Client]:
        clients = [Client(source) for _ in range(count)]
        for client in clients:
            self.connections.add(client)
            if authenticated:
                self.connections.authenticated(client)
        return clients


def open_ones(clients: list[Client]) -> list[bool]:
    return [client.is_open for client in clients]


def test_a_newcomer_takes_the_place_of_the_oldest() -> None:
    office = Office()
    clients = office.connect("a", 6)
    assert [False, False, True, True, True, True] == open_ones(clients)
    assert ["too many anonymous connections"] * 2 == office.reasons


def test_one_that_asked_something_is_newer() -> None:
    office = Office()
    clients = office.connect("a", 4)
    office.connections.requested(clients[0])
    office.connect("a")
    assert [True, False, True, True] == open_ones(clients)


def test_the_source_with_most_makes_way() -> None:
    """However old the others are, and however many connections it opens."""
    office = Office()
    others = office.connect("a") + office.connect("b")
    many = office.connect("c", 100)
    assert [True, True] == open_ones(others)
    assert [True, True] == open_ones(many[-2:])
    assert 98 == open_ones(many).count(False)


def test_anonymous_ones_never_take_the_place_of_authenticated_ones() -> None:
    """Though they come from one address."""
    office = Office()
    agents = office.connect("a", 4, authenticated=True)
    strangers = office.connect("a", 100)
    assert [True] * 4 == open_ones(agents)
    assert 4 == open_ones(strangers).count(True)


def test_a_thousand_agents_may_come_from_one_address() -> None:
    """If each shows its credential, as it does with its first request."""
    office = Office(anonymous=4, authenticated=1000)
    assert [True] * 1000 == open_ones(office.connect("a", 1000, authenticated=True))
    assert [] == office.reasons


def test_an_authenticated_one_takes_the_place_of_an_unused_one() -> None:
    """Of that whose last request is longest ago."""
    office = Office()
    agents = office.connect("a", 4, authenticated=True)
    office.connections.requested(agents[0])
    agents[1].is_idle = False
    new = office.connect("b", authenticated=True)
    assert [True, True, False, True] == open_ones(agents)
    assert [True] == open_ones(new)
    assert ["too many authenticated connections"] == office.reasons


def test_where_all_are_busy_one_more_stays_anonymous() -> None:
    """It is served as long as nobody takes its place."""
    office = Office()
    agents = office.connect("a", 4, authenticated=True)
    for agent in agents:
        agent.is_idle = False
    one_more = office.connect("a", authenticated=True)
    assert [True] * 5 == open_ones(agents + one_more)
    office.connect("a", 4)
    assert [True] * 4 + [False] == open_ones(agents + one_more)


def test_a_closed_one_counts_until_its_descriptor_is_free() -> None:
    """The acceptor waits for that, and time goes on for it."""
    office = Office()
    first = office.connect("a", 5)[0]
    assert 1 == office.connections.leaving
    assert first in list(office.connections)
    office.connections.requested(first)
    office.connections.authenticated(first)
    office.connections.remove(first)
    assert 0 == office.connections.leaving
    assert 4 == len(list(office.connections))


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
        (("2001:db8:0:1::1", 1, 0, 0), "2001:db8:0:1::/64"),
        (("2001:db8:0:1:ffff::1", 1, 0, 0), "2001:db8:0:1::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        ("", "unix"),
        (b"", "unix"),
    ],
)
def test_a_source_is_what_one_client_has(peer: object, source: str) -> None:
    assert source == source_of(peer)


@pytest.mark.parametrize("descriptors", [0, 1, 16, 512, 4096, 61_000, 2**30])
def test_all_connections_have_a_descriptor(descriptors: int) -> None:
    """And anonymous ones a file each; authenticated ones have most."""
    found = budget(descriptors)
    assert 1 <= found.anonymous <= MAX_ANONYMOUS
    assert 1 <= found.authenticated <= MAX_AUTHENTICATED
    assert 2 * found.anonymous + found.authenticated <= max(3, descriptors)
    assert found.anonymous <= found.authenticated
