"""What becomes of tokens: they are created, rotated and revoked."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lvsctl.director.state import State
from lvsctl.director.write.edits import Edit
from lvsctl.errors import Conflict, InvalidInput, NotFound, Problem
from lvsctl.farm.access import Role, Secret, Token
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.rules.fields import name_problems
from lvsctl.net import IPAddress


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
    if token.role not in (Role.AGENT, Role.JOIN) and token.pools:
        found.append(Problem("/pools", "only an agent's token has pools", "leave it out"))
    if (token.role is Role.JOIN) != (token.uses is not None):
        found.append(Problem("/uses", "only a token to join with has uses", "role join"))
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
class JoinFarm(Edit):
    """Buy the credential of a new agent with a token to join.

    The token's uses are counted in the commit that creates the credential, so two agents that come
    at once never get one use.

    Attributes:
        token: Name of the token.
        agent: Name of the agent.
        address: Of its real server (RIP).
        secret: Of the credential.
    """

    token: str
    agent: str
    address: IPAddress
    secret: Secret

    def changes(self, state: State) -> Changes:
        """Refuse a token that is used up, and a name or address that is in use."""
        token = token_of(state, self.token)
        uses = (token.uses or 0) - 1
        self._refuse_name_in_use(state)
        self._refuse_address_in_use(state)
        pools = tuple(pool for pool in token.pools if pool in state.farm.pools)
        credential = Token(
            self.agent, Role.AGENT, (self.secret,), token.name, pools, address=self.address
        )
        problems = [replace(each, pointer="/agent") for each in name_problems(self.agent)]
        if problems:
            raise InvalidInput(problems)
        return {
            ObjectId(Kind.TOKEN, self.token): replace(token, uses=uses) if uses else None,
            ObjectId(Kind.TOKEN, self.agent): credential,
        }

    def _refuse_name_in_use(self, state: State) -> None:
        if self.agent in state.tokens:
            raise Conflict(
                f"there is a credential for {self.agent} already; if this machine takes that one's "
                f"place, revoke it first (lvsctl agent revoke {self.agent}), else choose another "
                "name"
            )
        # Whoever has the token must not speak for a server that serves already.
        if self.agent in state.status.agents:
            raise Conflict(
                f"there is an agent {self.agent} already; if this machine takes its place, remove "
                f"it first (lvsctl agent remove {self.agent}), else choose another name. If it is "
                f"this agent, give it a credential: lvsctl token create {self.agent} --role agent "
                "--pool POOL"
            )

    def _refuse_address_in_use(self, state: State) -> None:
        for other in state.status.agents.values():
            if other.address == self.address:
                raise Conflict(
                    f"agent {other.name} is at {self.address} already; if it is gone: "
                    f"lvsctl agent remove {other.name}"
                )
        for token in state.tokens.values():
            if token.address == self.address:
                raise Conflict(
                    f"there is a credential of agent {token.name} for {self.address} already; if "
                    f"that one is gone: lvsctl agent revoke {token.name}"
                )


@dataclass(frozen=True)
class RenewCredential(Edit):
    """Give an agent's token another secret, at the agent's own request.

    Attributes:
        name: Of the agent.
        shown: Digest of the secret that it showed, which stays: the answer may be lost.
        secret: The new one.
        overlap: For how long both are valid.
    """

    name: str
    shown: bytes
    secret: Secret
    overlap: timedelta

    def changes(self, state: State) -> Changes:
        """Return the token with the new secret and the one that was shown."""
        token = token_of(state, self.name)
        until = self.secret.created + self.overlap
        kept = (
            replace(each, expires=_earlier(each.expires, until))
            for each in token.secrets
            if each.digest == self.shown
        )
        return {ObjectId(Kind.TOKEN, self.name): replace(token, secrets=(self.secret, *kept))}


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
