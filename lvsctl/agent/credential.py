"""The agent's own credential: a file that only it can read, and that it renews by itself."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import structlog

from lvsctl.agent.directors import Backoff
from lvsctl.errors import LvsctlError, StoreError

FILE = "credential"
RENEW_AFTER_S = 30 * 86400.0
"""A third of its life: a director that is away for weeks is no reason for an operator to come."""
LOOK_EVERY_S = 3600.0
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 300.0

log = structlog.get_logger(__name__)


class Credential:
    """The credential in an agent's state folder.

    Args:
        state_dir: The folder.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE

    @property
    def exists(self) -> bool:
        """Whether the agent has one."""
        return self.path.exists()

    def age_s(self, now_s: float) -> float:
        """Return how old it is.

        Args:
            now_s: The time of day, in seconds since the epoch.
        """
        return now_s - self.path.stat().st_mtime

    def save(self, text: str) -> None:
        """Replace it, durably: the director may refuse the one before soon.

        Raises:
            StoreError: The disk refuses; the one before stays.
        """
        new = self.path.with_name(f"{FILE}.new")
        try:
            new.unlink(missing_ok=True)  # it may have another mode
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                _give_to_owner(descriptor, self.path.parent)
                file.write(f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from error


def _give_to_owner(descriptor: int, folder: Path) -> None:
    """Let the daemon's own user read what root writes into its folder."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


async def keep_renewed(
    credential: Credential, renew: Callable[[], Awaitable[str]], now_s: Callable[[], float]
) -> None:
    """Renew a credential when it is old, until cancelled.

    Args:
        credential: The credential.
        renew: Asks a director for another.
        now_s: The time of day, in seconds since the epoch.
    """
    backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S, Random())  # noqa: S311 - jitter
    while True:
        if await renew_if_old(credential, renew, now_s()):
            backoff.reset()
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            await asyncio.sleep(backoff.next_s())


async def renew_if_old(
    credential: Credential, renew: Callable[[], Awaitable[str]], now_s: float
) -> bool:
    """Renew a credential if it is old; return False if that failed.

    One that is newer than now is old too: the clock was set back, and does not tell its age.
    """
    try:
        if 0 <= credential.age_s(now_s) < RENEW_AFTER_S:
            return True
        await asyncio.to_thread(credential.save, await renew())
    except (LvsctlError, OSError) as error:
        log.warning("credential not renewed", reason=str(error))
        return False
    log.info("credential renewed")
    return True
