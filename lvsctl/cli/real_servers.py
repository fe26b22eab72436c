"""Finds real servers in pools, and changes their run-time settings (overrides)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from lvsctl.cli.changes import Unset
from lvsctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from lvsctl.cli.client import Answer, DirectorClient


def path_of(pool: str, server: str) -> tuple[str, ...]:
    """Return the path of a real server in the REST API."""
    return ("v1", "pools", pool, "real-servers", server)


def pools_with(client: "DirectorClient", server: str) -> Sequence[str]:
    """Return the pools that have a server of this name.

    Raises:
        NotFound: No pool has one.
    """
    found = [
        pool["name"]
        for pool in client.get("v1", "pools").document["pools"]
        if any(each["name"] == server for each in pool["status"]["real_servers"])
    ]
    if not found:
        raise NotFound(f"no pool has a real server {server}; to list them: lvsctl server list")
    return found


def only_pool_with(client: "DirectorClient", server: str) -> str:
    """Return the pool that has a server of this name.

    Raises:
        NotFound: No pool has one.
        Conflict: Several pools have one.
    """
    pools = pools_with(client, server)
    if len(pools) > 1:
        raise Conflict(
            f"several pools have a real server {server}: choose one with --pool "
            f"({', '.join(pools)})"
        )
    return pools[0]


def change_override(
    client: "DirectorClient",
    pool: str,
    server: str,
    changes: Mapping[str, Any],
    parameters: Mapping[str, str] | None = None,
) -> "Answer":
    """Change the override of a server, unless someone else changes it at the same time.

    An override without any effect is deleted. A deadline is dropped with any change.

    Args:
        client: Client of the director.
        pool: Pool of the server.
        server: Name of the server.
        changes: Fields of the override; None keeps a field, ``Unset.UNSET`` removes it.
        parameters: Query parameters of the PUT.
    """
    path = (*path_of(pool, server), "override")
    old, condition = _override(client, path)
    given = {field: value for field, value in changes.items() if value is not None}
    new = {field: value for field, value in {**old, **given}.items() if value is not Unset.UNSET}
    if new.get("state", "enabled") == "enabled" and "weight" not in new:
        return client.delete(*path)
    return client.put(*path, body=new, parameters=parameters, headers=condition)


def _override(
    client: "DirectorClient", path: Sequence[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the current override, and the precondition for replacing it."""
    from lvsctl.cli.client import DirectorRefused  # noqa: PLC0415 - as in options.director

    try:
        answer = client.get(*path)
    except DirectorRefused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return {}, {"If-None-Match": "*"}
    kept = {
        field: answer.document[field] for field in ("state", "weight") if field in answer.document
    }
    return kept, {"If-Match": answer.etag or "*"}
