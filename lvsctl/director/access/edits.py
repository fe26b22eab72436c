"""What becomes of tokens: they are created, rotated and revoked."""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lvsctl.director.state import State
from lvsctl.director.write.edits import Edit
from lvsctl.errors import Conflict, InvalidInput, NotFound, Problem, TooManyRequests
from lvsctl.farm.access import Role, Secret, Token
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.rules.fields import name_problems
from lvsctl.net import IPAddress

RENEWAL_INTERVAL = timedelta(hours=1)
"""Each renewal is a commit, and the history keeps a number of them."""


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
        secret: The new one; if it never expires, it lasts as long as the one that it replaces.
        overlap: For how long both are valid.
    """

    name: str
    secret: Secret
    overlap: timedelta

    def changes(self, state: State) -> Changes:
        """Return the token with both; what is older still is gone.

        The old one renews nothing: whoever got hold of it must not outlive the rotation.
        """
        token = token_of(state, self.name)
        newest, created = token.secrets[0], self.secret.created
        lasts = None if newest.expires is None else created + (newest.expires - newest.created)
        ends = _earlier(newest.expires, created + self.overlap)
        secrets = (
            replace(self.secret, expires=self.secret.expires or lasts),
            replace(newest, expires=ends, renews=False),
        )
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
        shown: Digest of the secret that it showed, which stays until the new one is used: the
            answer may be lost.
        secret: The new one.
        overlap: For how long both are valid.
    """

    name: str
    shown: bytes
    secret: Secret
    overlap: timedelta

    def changes(self, state: State) -> Changes:
        """Return the token with the new secret and the one that was shown.

        Raises:
            Conflict: The one that was shown has been replaced.
            TooManyRequests: It is the newest, and new.
        """
        token, now = token_of(state, self.name), self.secret.created
        shown = next((each for each in token.secrets if each.digest == self.shown), None)
        if shown is None or not shown.renews:
            raise Conflict(
                f"the secret that agent {self.name} shows has been replaced and renews nothing; "
                f"give the agent the new one, or another: lvsctl token rotate {self.name}"
            )
        age = now - shown.created
        if shown is token.secrets[0] and timedelta(0) <= age < RENEWAL_INTERVAL:
            raise TooManyRequests(
                f"the credential of agent {self.name} is new; it is renewed once an hour at most",
                math.ceil((RENEWAL_INTERVAL - age).total_seconds()),
            )
        kept = replace(shown, expires=_earlier(shown.expires, now + self.overlap))
        return {ObjectId(Kind.TOKEN, self.name): replace(token, secrets=(self.secret, kept))}


@dataclass(frozen=True)
class ConfirmRenewal(Edit):
    """End the older secrets of an agent, which has shown that it has the newest.

    Attributes:
        name: Of the agent.
        shown: Digest of the secret that it showed.
    """

    name: str
    shown: bytes

    def changes(self, state: State) -> Changes:
        """Return the token with its newest secret; nothing if another was shown.

        One that an operator's rotation replaced stays until its end.
        """
        token = state.tokens.get(self.name)
        if token is None or token.secrets[0].digest != self.shown:
            return {}
        newest, *older = token.secrets
        kept = (each for each in older if not each.renews)
        return {ObjectId(Kind.TOKEN, self.name): replace(token, secrets=(newest, *kept))}


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
