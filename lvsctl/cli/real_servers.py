"""Real servers over the REST API: in which pools they are, and their overrides."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from lvsctl.cli.changes import Unset
from lvsctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from lvsctl.cli.client import Answer, DirectorClient


def path_of(pool: str, server: str) -> tuple[str, ...]:
    """Return where a real server stands."""
    return ("v1", "pools", pool, "real-servers", server)


def pools_with(client: "DirectorClient", server: str) -> Sequence[str]:
    """Return the pools that have a server of this name.

    Raises:
        NotFound: None has.
    """
    found = [
        pool["name"]
        for pool in client.get("v1", "pools").document["pools"]
        if any(each["name"] == server for each in pool["status"]["real_servers"])
    ]
    if not found:
        raise NotFound(f"no pool has a real server {server}; lvsctl server list shows them")
    return found


def only_pool_with(client: "DirectorClient", server: str) -> str:
    """Return the pool that has a server of this name.

    Raises:
        NotFound: None has.
        Conflict: Several have.
    """
    pools = pools_with(client, server)
    if len(pools) > 1:
        raise Conflict(
            f"several pools have a real server {server}: say which with --pool ({', '.join(pools)})"
        )
    return pools[0]


def change_override(
    client: "DirectorClient",
    pool: str,
    server: str,
    changes: Mapping[str, Any],
    parameters: Mapping[str, str] | None = None,
) -> "Answer":
    """Change what is set at run time about a server, unless somebody else does meanwhile.

    Where nothing is left of it the override ends. ``Unset.UNSET`` takes a field away. A deadline
    goes with the state that it was set for.

    Args:
        client: Asks the director.
        pool: Of the server.
        server: Its name.
        changes: Fields of the override; None keeps one.
        parameters: Of the query, where it is put.
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
    """Return the override that stands, and the header that lets only its reader replace it."""
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
