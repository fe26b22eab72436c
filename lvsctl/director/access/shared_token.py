"""One token for everybody, as earlier versions had it: accepted on request, until a date."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lvsctl.errors import ConfigurationError
from lvsctl.times import format_utc
from lvsctl.token_file import read_token


@dataclass(frozen=True, slots=True)
class SharedToken:
    """A token that gives everybody every right.

    Attributes:
        token: The text; empty if it is not accepted.
        until: When it is no longer accepted, in UTC.
        problem: What is wrong with that, and the cure, for a person; empty if there is none.
    """

    token: str = ""
    until: datetime | None = None
    problem: str = ""


CURE = (
    "give everyone a token of their own (lvsctl token create NAME --role ROLE), then remove "
    "--token-file"
)


def read_shared_token(path: Path | None, until: datetime | None) -> SharedToken:
    """Read the shared token, if it is to be accepted.

    Args:
        path: ``--token-file``; None without.
        until: ``--shared-token-until``, in UTC; None without.

    Raises:
        ConfigurationError: There is an end but no file, or the file cannot be used.
    """
    if path is None:
        if until is not None:
            raise ConfigurationError("--shared-token-until needs --token-file, which holds it")
        return SharedToken()
    if until is None:
        return SharedToken(
            problem=f"the shared token in --token-file {path} is not accepted, as it gives "
            f"everybody every right: {CURE}. To accept it until then: --shared-token-until DATE"
        )
    return SharedToken(
        read_token(path),
        until,
        f"the shared token in --token-file {path} gives everybody every right, and is accepted "
        f"only until {format_utc(until)}: {CURE}",
    )
