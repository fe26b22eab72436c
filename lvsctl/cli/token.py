"""``lvsctl token``: who may use the director."""

import secrets
from typing import TYPE_CHECKING

import click

from lvsctl.cli.changes import declaration, show_written
from lvsctl.cli.options import asks_director, duration, read_by
from lvsctl.cli.output import Format, Json, columns, fields, sections, show

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

ROLES = ("admin", "operator", "viewer", "metrics", "agent", "join")
JOIN = "join"


@click.group()
def token() -> None:
    """Create, list, rotate and revoke tokens."""


@token.command()
@click.argument("name", required=False)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    help="admin may do everything; operator read, drain, set run-time weights and pause; viewer "
    "read; metrics read the metrics; agent speak for the real server NAME; join get the credential "
    "of a new agent (default if --pool is given).",
)
@click.option(
    "--ttl",
    metavar="TIME",
    callback=read_by(duration),
    help="Time until it expires, like 90d.  [never; for join: 1h]",
)
@click.option(
    "--pool",
    "pools",
    multiple=True,
    help="For join and agent: pool that the agent may join; repeat for several.",
)
@click.option("--uses", type=int, help="For join: how many agents may join with it.  [1]")
@asks_director
def create(
    client: "DirectorClient",
    *,
    name: str | None,
    role: str | None,
    ttl: str | None,
    pools: tuple[str, ...],
    uses: int | None,
    form: Format,
) -> None:
    """Create a token and show it, this once.

    lvsctl token create --pool web: a token with which one agent can join that pool within an hour.
    """
    role = role or (JOIN if pools else None)
    if role is None:
        raise click.UsageError("give --role, or --pool for a token with which an agent joins")
    if name is None and role != JOIN:
        raise click.UsageError(f"a token of role {role} needs a NAME: it stands in the history")
    options = {"ttl": ttl or ("1h" if role == JOIN else None), "uses": uses}
    body: Json = {"role": role, "pools": [*pools], **declaration(options)}
    name = name or f"join-{secrets.token_hex(4)}"
    answer = client.put("v1", "tokens", name, body=body).document
    show(answer, form, lambda: _secret(answer))


@token.command("list")
@asks_director
def list_(client: "DirectorClient", form: Format) -> None:
    """List the tokens; their secrets are not stored."""
    headings = ("NAME", "ROLE", "POOLS", "CREATED", "EXPIRES", "LAST USED", "FROM", "BY")
    answer = client.get("v1", "tokens").document
    show(answer, form, lambda: columns(headings, map(_row, answer["tokens"])))


@token.command()
@click.argument("name")
@click.option(
    "--overlap",
    metavar="TIME",
    callback=read_by(duration),
    default="1h",
    show_default=True,
    help="Time during which the old secret remains valid too.",
)
@click.option(
    "--ttl",
    metavar="TIME",
    callback=read_by(duration),
    help="Time until the new one expires, like 90d.  [the old one's lifetime]",
)
@asks_director
def rotate(
    client: "DirectorClient", name: str, overlap: str, ttl: str | None, form: Format
) -> None:
    """Give a token a new secret, and show it this once."""
    parameters = {"overlap": overlap} | ({"ttl": ttl} if ttl else {})
    answer = client.post("v1", "tokens", name, "rotate", parameters=parameters).document
    show(answer, form, lambda: _secret(answer))


@token.command()
@click.argument("name")
@asks_director
def revoke(client: "DirectorClient", name: str, form: Format) -> None:
    """End a token at once."""
    show_written(client.delete("v1", "tokens", name).document, form)


def _secret(answer: Json) -> str:
    return sections(
        fields([(key, answer[key]) for key in ("name", "role", "expires", "token")]),
        "It is not shown again. Keep it in a file that only its user can read, and give that as "
        "--token-file.",
    )


def _row(token: Json) -> tuple[object, ...]:
    newest = token["secrets"][0]
    return (
        token["name"],
        token["role"],
        token["pools"],
        newest["created"],
        newest["expires"],
        token["last_used"],
        token["last_source"],
        token["by"],
    )
