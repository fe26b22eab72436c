"""Tokens: what they allow, and how long."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from api.schemas.base import Document
from api.schemas.fields import Address, Duration, Name
from api.schemas.items import Items
from lvsctl.director.access.credentials import Use
from lvsctl.errors import InvalidInput, Problem
from lvsctl.farm.access import Role, Secret
from lvsctl.farm.access import Token as TokenValue
from lvsctl.times import format_utc

RoleName = Literal["admin", "operator", "viewer", "metrics", "agent", "join"]
MAX_USES = 10_000
MAX_TTL_S = 3650 * 86400
TTL_ALLOWED = "1s to 3650d"

TimeText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


def lasting(ttl_s: int | None, now: datetime) -> datetime | None:
    """Return when something ends that lasts so long from now; None for never.

    Raises:
        InvalidInput: It is out of range.
    """
    if ttl_s is None:
        return None
    if not 1 <= ttl_s <= MAX_TTL_S:
        raise InvalidInput([Problem("/ttl", f"{ttl_s} s is out of range", TTL_ALLOWED)])
    return now + timedelta(seconds=ttl_s)


class TokenRequest(Document):
    """A token to be created."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "operator", "ttl": "90d"}]})

    role: RoleName = Field(
        description="admin may do everything; operator read, drain, set run-time weights and "
        "pause; viewer read; metrics read the metrics; agent speak for the real server that has "
        "the token's name; join get the credential of a new agent at /v1/join."
    )
    ttl: Duration | None = Field(
        default=None, description="Time until it expires, 1s to 3650d; default: never."
    )
    pools: Items[Name] = Field(
        default_factory=list, description="For agent: the pools that it may join."
    )

    uses: int | None = Field(
        default=None,
        description="For join: how many agents may join with it; default: 1.",
    )

    def value(self, name: str, digest: bytes, by: str, now: datetime) -> TokenValue:
        """Return what the document stands for.

        Args:
            name: Of the token.
            digest: Of its secret.
            by: Who creates it.
            now: In UTC.

        Raises:
            InvalidInput: It lasts too long.
        """
        if self.uses is not None and not 1 <= self.uses <= MAX_USES:
            detail = f"{self.uses} is out of range"
            raise InvalidInput([Problem("/uses", detail, f"1 to {MAX_USES}")])
        role, secret = Role(self.role), Secret(digest, now, lasting(self.ttl, now))
        uses = 1 if role is Role.JOIN and self.uses is None else self.uses
        return TokenValue(name, role, (secret,), by, tuple(self.pools), uses)


class SecretAnswer(Document):
    """One secret of a token, which is not shown again."""

    created: TimeText
    expires: TimeText | None = Field(description="null: never.")

    @classmethod
    def of(cls, secret: Secret) -> Self:
        """Return the document of a secret."""
        return cls.model_construct(
            created=format_utc(secret.created),
            expires=format_utc(secret.expires) if secret.expires else None,
        )


class TokenAnswer(Document):
    """A token, without its secret."""

    name: str
    role: RoleName
    pools: list[str] = Field(description="For agent: the pools that it may join.")
    uses: int | None = Field(description="For join: how many agents may still join with it.")
    by: str = Field(description="Who created it.")
    secrets: list[SecretAnswer] = Field(
        description="The newest first; two while clients change over to it."
    )
    last_used: TimeText | None = Field(description="null: not since this director started.")
    last_source: str | None = Field(description="Address that it was used from then.")

    @classmethod
    def of(cls, token: TokenValue, use: Use | None) -> Self:
        """Return the document of a token."""
        return cls.model_construct(
            name=token.name,
            role=token.role.value,
            pools=[*token.pools],
            uses=token.uses,
            by=token.by,
            secrets=[SecretAnswer.of(secret) for secret in token.secrets],
            last_used=format_utc(use.at) if use else None,
            last_source=use.source if use else None,
        )


class Tokens(Document):
    """All tokens."""

    tokens: list[TokenAnswer]


class JoinRequest(Document):
    """An agent that joins."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"agent": "rs4", "address": "192.0.2.14"}]}
    )

    agent: Name = Field(description="Name of the agent, unique among agents and tokens.")
    address: Address = Field(description="Real server address (RIP).")


class NewSecret(Document):
    """A new secret of a token: the only answer that ever has it."""

    name: str
    role: RoleName
    token: str = Field(description="To be sent as Authorization: Bearer.")
    expires: TimeText | None = Field(description="null: never.")
