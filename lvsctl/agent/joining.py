"""An agent gets a credential of its own: at its join, and when the one it has is old."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lvsctl.agent.addresses import source_address
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.credential import Credential
from lvsctl.agent.director_client import HttpDirectorClient
from lvsctl.errors import ConfigurationError, DirectorUnreachable, StoreError
from lvsctl.token_file import read_token

T = TypeVar("T")


def join(config: AgentConfig, token_file: Path) -> Path | None:
    """Buy a credential with a token and keep it in the state folder.

    Args:
        config: The agent's; without an address, the one towards the first director is taken.
        token_file: File with the token.

    Returns:
        The file that holds it; None if there was one already.

    Raises:
        ConfigurationError: The token is refused, or no address leads to the director.
        Conflict, InvalidInput: The director refuses the name or the address.
        DirectorUnreachable: No director answers.
        StoreError: The state folder cannot be written.
    """
    credential = Credential(config.state_dir)
    if credential.exists:
        return None
    read_token(token_file)
    address = config.address or source_address(config.directors[0])
    if address is None:
        raise ConfigurationError(f"there is no route to {config.directors[0]}: give --address")
    try:
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{config.state_dir} cannot be made: {error.strerror}") from error
    asked = ask_in_turn(
        config.directors,
        token_file,
        config.ca_file,
        lambda client: client.join(config.name, address),
    )
    credential.save(asyncio.run(asked))
    return credential.path


async def renewed(config: AgentConfig, credential: Credential) -> str:
    """Return another credential for the one that an agent has.

    Raises:
        LvsctlError: No director gives one.
    """
    return await ask_in_turn(
        config.directors,
        credential.path,
        config.ca_file,
        lambda client: client.renew_credential(config.name),
    )


async def ask_in_turn(
    directors: Sequence[str],
    token_file: Path,
    ca_file: Path | None,
    ask: Callable[[HttpDirectorClient], Awaitable[T]],
) -> T:
    """Return what the first director says that answers.

    Raises:
        DirectorUnreachable: None does.
    """
    failed = []
    for url in directors:
        client = HttpDirectorClient(url, token_file, ca_file=ca_file)
        try:
            return await ask(client)
        except DirectorUnreachable as error:
            failed.append(str(error))
        finally:
            await client.close()
    raise DirectorUnreachable("; ".join(failed))
