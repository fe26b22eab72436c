"""What becomes of tokens: they are created, rotated and revoked."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lvsctl.director.state import State
from lvsctl.director.write.edits import Edit
from lvsctl.errors import Conflict, InvalidInput, NotFound, Problem
from lvsctl.farm.access import Role, Secret, Token
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.rules.fields import name_problems


@dataclass(frozen=True)
class CreateToken(Edit):
    """Create a token under a name that none has."""

    token: Token

    def changes(self, state: State) -> Changes:
        """Refuse a name that is taken, and pools that are missing."""
        name = self.token.name
        problems = [*_problems(self.token, state)]
        if problems:
            raise InvalidInput(problems)
        if name in state.tokens:
            raise Conflict(
                f"there is a token {name} already: choose another name, give it a new secret "
                f"(lvsctl token rotate {name}), or end it (lvsctl token revoke {name})"
            )
        return {ObjectId(Kind.TOKEN, name): self.token}


def _problems(token: Token, state: State) -> list[Problem]:
    found = [*name_problems(token.name)]
    if token.role is not Role.AGENT and token.pools:
        found.append(Problem("/pools", "only an agent's token has pools", "leave it out"))
    found += [
        Problem(f"/pools/{place}", f"there is no pool {pool!r}", ", ".join(state.farm.pools))
        for place, pool in enumerate(token.pools)
        if pool not in state.farm.pools
    ]
    return found


@dataclass(frozen=True)
class RotateToken(Edit):
    """Give a token another secret; the one that it replaces stays valid for a while.

    Attributes:
        name: Of the token.
        secret: The new one.
        overlap: For how long both are valid.
    """

    name: str
    secret: Secret
    overlap: timedelta

    def changes(self, state: State) -> Changes:
        """Return the token with both; what is older still is gone."""
        token = token_of(state, self.name)
        newest, until = token.secrets[0], self.secret.created + self.overlap
        ends = _earlier(newest.expires, until)
        secrets = (self.secret, replace(newest, expires=ends))
        return {ObjectId(Kind.TOKEN, self.name): replace(token, secrets=secrets)}


def _earlier(expires: datetime | None, until: datetime) -> datetime:
    return until if expires is None else min(expires, until)


@dataclass(frozen=True)
class RevokeToken(Edit):
    """End a token: from now on nobody is let in with it."""

    name: str

    def changes(self, state: State) -> Changes:
        """Refuse a token that does not exist."""
        token_of(state, self.name)
        return {ObjectId(Kind.TOKEN, self.name): None}


def token_of(state: State, name: str) -> Token:
    """Return a token, or raise NotFound."""
    token = state.tokens.get(name)
    if token is None:
        raise NotFound(f"there is no token {name}; those that exist: lvsctl token list")
    return token
