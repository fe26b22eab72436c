"""Services, pools and real servers: reading, creating, replacing, changing, removing."""

from typing import Any

import pytest

from lvsctl.errors import KernelError
from tests.api.bench import Bench

SERVICE = "/v1/services/web"
POOL = "/v1/pools/web"
MARKED = "/v1/services/marked"
SERVER = "/v1/pools/web/real-servers/rs1"
OBJECTS = (SERVICE, POOL, SERVER)


def weights(bench: Bench, key: str = "tcp 198.51.100.10:80") -> dict[str, int]:
    """Return the weights of a virtual service in the kernel."""
    table = bench.kernel.table()
    destinations = table[bench.key(key)].destinations
    return {str(at.address): config.weight for at, config in destinations.items()}


def persistence(timeout: str, netmask: int) -> dict[str, object]:
    return {"timeout": timeout, "netmask": netmask}


@pytest.mark.parametrize("address", OBJECTS)
def test_what_get_shows_can_be_put_back(bench: Bench, address: str) -> None:
    """With its status, which is passed over: the object stays as it is, at its revision."""
    shown = bench.get(address)
    answer = bench.put(address, json=shown.json())
    assert (200, []) == (answer.status_code, answer.json()["changes"])
    assert shown.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize("address", OBJECTS)
def test_a_list_holds_what_get_shows(bench: Bench, address: str) -> None:
    """Both have one form."""
    folder = address.rpartition("/")[0]
    (found,) = bench.get(folder).json().values()
    assert bench.get(address).json() in found


def test_a_service_is_created_at_its_address(bench: Bench) -> None:
    """201 with Location; the name in the document may be left out."""
    address = "/v1/services/mail"
    body = {"vip": "198.51.100.25", "ports": [25], "pool": "web"}
    answer = bench.put(f"{address}?wait=10", json=body)
    assert (201, address) == (answer.status_code, answer.headers["Location"])
    assert answer.json()["applied"]
    assert "mail" == bench.get(address).json()["name"]
    assert {"192.0.2.11": 100, "192.0.2.12": 50} == weights(bench, "tcp 198.51.100.25:25")


def test_a_pool_is_created_at_its_address(bench: Bench) -> None:
    """201 with Location."""
    answer = bench.put("/v1/pools/new", json={"name": "new"})
    assert (201, "/v1/pools/new") == (answer.status_code, answer.headers["Location"])
    assert [] == bench.get("/v1/pools/new").json()["real_servers"]


def test_a_real_server_is_created_at_its_address(bench: Bench) -> None:
    """201 with Location, and it is in the kernel."""
    address = "/v1/pools/web/real-servers/rs3"
    answer = bench.put(f"{address}?wait=10", json={"address": "192.0.2.13", "weight": 7})
    assert (201, address) == (answer.status_code, answer.headers["Location"])
    assert {"192.0.2.11": 100, "192.0.2.12": 50, "192.0.2.13": 7} == weights(bench)


def test_a_service_is_replaced_as_a_whole(bench: Bench) -> None:
    """What the document leaves out has its default again."""
    body = {"vip": "198.51.100.10", "ports": [80], "pool": "web"}
    assert 200 == bench.put(f"{SERVICE}?wait=10", json=body).status_code
    assert "wlc" == bench.get(SERVICE).json()["scheduler"]
    assert "tcp 198.51.100.10:443" not in {str(key) for key in bench.kernel.table()}


@pytest.mark.parametrize(
    ("address", "patch", "shown"),
    [
        (SERVICE, {"scheduler": "wrr"}, {"scheduler": "wrr", "ports": [80, 443]}),
        (SERVICE, {"flags": ["mh-port"]}, {"flags": ["mh-port"]}),
        (SERVICE, {"persistence": {"timeout": "60s"}}, {"persistence": persistence("1m", 32)}),
        (MARKED, {"persistence": {"netmask": 16}}, {"persistence": persistence("5m", 16)}),
        (MARKED, {"persistence": None}, {"persistence": None}),
        (MARKED, {"fwmark": None, "ports": [99]}, {"fwmark": None, "protocol": "tcp"}),
        (SERVICE, {"ports": None, "protocol": None, "fwmark": 9}, {"ports": None, "fwmark": 9}),
        (SERVICE, {}, {"scheduler": "mh"}),
        (SERVER, {"weight": 0}, {"weight": 0, "address": "192.0.2.11"}),
        (SERVER, {"weight": None}, {"weight": 100}),
        (POOL, {"real_servers": []}, {"real_servers": []}),
    ],
)  # fmt: skip
def test_a_patch_changes_what_it_names(
    bench: Bench, address: str, patch: dict[str, Any], shown: dict[str, Any]
) -> None:
    """RFC 7396: an object merges, null removes, everything else replaces."""
    answer = bench.patch(
        address, json=patch, headers={"Content-Type": "application/merge-patch+json"}
    )
    assert 200 == answer.status_code, answer.text
    document = bench.get(address).json()
    assert shown == {field: document.get(field) for field in shown}
    assert bench.get(address).headers["ETag"] == answer.headers["ETag"]


def test_a_patch_edits_the_kernel_in_place(bench: Bench) -> None:
    """Nothing is deleted and made anew."""
    answer = bench.patch(f"{SERVER}?wait=10", json={"weight": 30}).json()
    assert [
        "edit 192.0.2.11:0 weight 30 of fwmark 7",
        "edit 192.0.2.11:80 weight 30 of tcp 198.51.100.10:80",
        "edit 192.0.2.11:443 weight 30 of tcp 198.51.100.10:443",
    ] == sorted(answer["operations"], key=lambda text: int(text.split()[1].split(":")[1]))
    assert {"192.0.2.11": 30, "192.0.2.12": 50} == weights(bench)


def test_a_service_is_removed(bench: Bench) -> None:
    """With all its virtual services."""
    answer = bench.delete(f"{SERVICE}?wait=10")
    assert (200, True) == (answer.status_code, answer.json()["applied"])
    assert 404 == bench.get(SERVICE).status_code
    assert {"udp 198.51.100.53:53", "fwmark 7"} == {str(key) for key in bench.kernel.table()}


def test_a_pool_is_removed_when_nothing_uses_it(bench: Bench) -> None:
    """Not before; the answer names who does."""
    refused = bench.delete("/v1/pools/dns")
    assert 409 == refused.status_code
    assert "dns" in refused.json()["detail"]
    assert 200 == bench.delete("/v1/pools/spare").status_code
    assert 404 == bench.get("/v1/pools/spare").status_code


def test_a_real_server_is_removed(bench: Bench) -> None:
    """From every service of its pool."""
    assert 200 == bench.delete(f"{SERVER}?wait=10").status_code
    assert 404 == bench.get(SERVER).status_code
    assert {"192.0.2.12": 50} == weights(bench)


@pytest.mark.parametrize(
    "address",
    [
        "/v1/services/none",
        "/v1/pools/none",
        "/v1/pools/none/real-servers",
        "/v1/pools/none/real-servers/rs1",
        "/v1/pools/web/real-servers/none",
        "/v1/pools/web/real-servers/rs1/override",
        "/v1/agents/none",
        "/v1/agents/none/assignment",
    ],
)
def test_what_does_not_stand_is_404_with_its_name(bench: Bench, address: str) -> None:
    """The answer says what is missing."""
    answer = bench.get(address)
    assert 404 == answer.status_code
    name = "rs1" if address.endswith("override") else "none"
    assert name in answer.json()["detail"]


def test_a_service_shows_how_it_stands(bench: Bench) -> None:
    """Each key in the kernel, each destination with its weight, and why it is so."""
    bench.put(
        "/v1/pools/web/real-servers/rs2/override", json={"state": "draining", "reason": "disk"}
    )
    status = bench.get(SERVICE).json()["status"]
    assert ("applied", "") == (status["state"], status["reason"])
    assert [
        {"key": "tcp 198.51.100.10:80", "state": "applied", **NOTHING},
        {"key": "tcp 198.51.100.10:443", "state": "applied", **NOTHING},
    ] == status["keys"]
    assert [("rs1", 100, ""), ("rs2", 0, "draining: disk")] == [
        (item["server"], item["weight"], item["reason"]) for item in status["destinations"]
    ]


def test_a_service_that_is_not_in_the_kernel_yet_says_so(fresh: Bench) -> None:
    """Before the first cycle every key is pending."""
    farm = {
        "services": [{"name": "web", "vip": "198.51.100.10", "ports": [80], "pool": "web"}],
        "pools": [{"name": "web"}],
    }
    assert 200 == fresh.put("/v1/farm", json=farm).status_code
    status = fresh.get(SERVICE).json()["status"]
    assert ("pending", "not-observed-yet") == (status["state"], status["code"])


def test_a_kernel_that_cannot_be_compared_shows_with_its_services(bench: Bench) -> None:
    """What was last seen is shown, with why it may be old."""
    bench.ipvs.broken = KernelError("ip_vs is not loaded")
    answer = bench.patch(f"{SERVICE}?wait=0.3", json={"scheduler": "rr"}).json()
    assert (False, "kernel-refused") == (answer["applied"], answer["code"])
    assert "kernel-refused" == bench.get(SERVICE).json()["status"]["code"]


NOTHING = {"reason": "", "code": "", "reasons": []}
SERVING = {"weight": 100, "tunnel": "ipip", "pending": False, **NOTHING}


def test_a_real_server_shows_its_part_in_each_service(bench: Bench) -> None:
    """With its origin, administrative state and agent."""
    shown = bench.get(SERVER).json()["status"]
    assert {
        "origin": "declared",
        "state": "enabled",
        **SERVING,
        "services": [{"service": "web", **SERVING}, {"service": "marked", **SERVING}],
        "health": [],
        "drain": None,
        "agent": None,
    } == shown


def test_a_server_of_a_pool_that_nothing_uses_says_so(bench: Bench) -> None:
    """It is in no table, and that is no fault of it."""
    bench.put("/v1/pools/spare/real-servers/rs8", json={"address": "192.0.2.18"})
    status = bench.get("/v1/pools/spare/real-servers/rs8").json()["status"]
    assert (None, "pool-unused") == (status["weight"], status["code"])


def test_lists_are_empty_without_a_farm(empty: Bench) -> None:
    """They are there all the same."""
    assert {"services": []} == empty.get("/v1/services").json()
    assert {"pools": []} == empty.get("/v1/pools").json()
    assert {"agents": []} == empty.get("/v1/agents").json()


def test_a_write_waits_for_its_own_keys_only(bench: Bench) -> None:
    """A conflict of another service does not count."""
    bench.occupy("198.51.100.77")
    conflicting = {"vip": "198.51.100.77", "ports": [80], "pool": "web"}
    answer = bench.put("/v1/services/taken?wait=1", json=conflicting).json()
    assert not answer["applied"]
    assert "tcp 198.51.100.77:80" in answer["reason"]
    assert bench.patch(f"{SERVICE}?wait=10", json={"scheduler": "rr"}).json()["applied"]


def test_the_vip_of_a_firewall_mark_stays(bench: Bench) -> None:
    """409 with the way to do it without a gap."""
    refused = bench.patch(MARKED, json={"vip": "198.51.100.77"})
    assert 409 == refused.status_code
    assert "add a service with the new VIP and another mark" in refused.json()["detail"]
