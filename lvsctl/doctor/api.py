"""Asks the director's API, if doctor was given its URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpx

from lvsctl.client.unix import base_url_of, unix_transport
from lvsctl.net import IPAddress

_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """The state of the API, and the path MTUs configured in the pools.

    Attributes:
        problem: Why the director is not ready; empty if it is.
        path_mtus: Largest outer packet by real server; 0 if its pool sets none.
    """

    problem: str = ""
    path_mtus: Mapping[IPAddress, int] = field(default_factory=dict)


def ask(url: str, token: str | None) -> ApiAnswer:
    """Query ``/readyz`` and ``/v1/pools``."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(
            base_url=base_url_of(url.rstrip("/")),
            headers=headers,
            timeout=_TIMEOUT_S,
            transport=unix_transport(url),
            trust_env=False,
        ) as client:
            ready = client.get("/readyz")
            if not ready.is_success:
                return ApiAnswer(f"{url}/readyz answers {ready.status_code}: {ready.text[:200]}")
            pools = client.get("/v1/pools")
            if not pools.is_success:
                return ApiAnswer(f"{url}/v1/pools answers {pools.status_code}")
            return ApiAnswer(path_mtus=_path_mtus(pools.json()))
    except httpx.HTTPError as error:
        return ApiAnswer(f"{url}: {str(error) or type(error).__name__}")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return ApiAnswer(f"{url} answers what is not understood: {error}")


def _path_mtus(document: Any) -> Mapping[IPAddress, int]:  # noqa: ANN401 - JSON
    return {
        ip_address(server["address"]): (server.get("tunnel") or pool["tunnel"]).get("mtu") or 0
        for pool in document["pools"]
        for server in pool["real_servers"]
    }
