"""An agent gets a credential of its own: at its join, and when the one it has is old."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lvsctl.agent.addresses import source_address
from lvsctl.agent.credential import Credential
from lvsctl.agent.director_client import HttpDirectorClient
from lvsctl.errors import ConfigurationError, DirectorUnreachable, StoreError
from lvsctl.net import IPAddress
from lvsctl.token_file import read_token

T = TypeVar("T")


def join(
    directors: Sequence[str],
    *,
    name: str,
    address: IPAddress | None,
    state_dir: Path,
    token_file: Path,
) -> Path | None:
    """Buy a credential with a token and keep it in the state folder.

    Args:
        directors: URLs of directors, tried in turn.
        name: Of the agent.
        address: The real server's (RIP); None for the source address towards the first director.
        state_dir: The agent's.
        token_file: File with the token.

    Returns:
        The file that holds it; None if there was one already.

    Raises:
        ConfigurationError: The token is refused, or no address leads to the director.
        Conflict, InvalidInput: The director refuses the name or the address.
        DirectorUnreachable: No director answers.
        StoreError: The state folder cannot be written.
    """
    credential = Credential(state_dir)
    if credential.exists:
        return None
    read_token(token_file)
    rip = address or source_address(directors[0])
    if rip is None:
        raise ConfigurationError(f"there is no route to {directors[0]}: give --address")
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{state_dir} cannot be made: {error.strerror}") from error
    asked = ask_in_turn(directors, token_file, lambda client: client.join(name, rip))
    credential.save(asyncio.run(asked))
    return credential.path


async def renewed(directors: Sequence[str], credential: Credential, name: str) -> str:
    """Return another credential for the one that an agent has.

    Raises:
        LvsctlError: No director gives one.
    """
    return await ask_in_turn(
        directors, credential.path, lambda client: client.renew_credential(name)
    )


async def ask_in_turn(
    directors: Sequence[str],
    token_file: Path,
    ask: Callable[[HttpDirectorClient], Awaitable[T]],
) -> T:
    """Return what the first director says that answers.

    Raises:
        DirectorUnreachable: None does.
    """
    failed = []
    for url in directors:
        client = HttpDirectorClient(url, token_file)
        try:
            return await ask(client)
        except DirectorUnreachable as error:
            failed.append(str(error))
        finally:
            await client.close()
    raise DirectorUnreachable("; ".join(failed))
