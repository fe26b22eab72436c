"""A token is read only from a file that nobody else can read."""

import os
from pathlib import Path

import pytest

from lvsctl.errors import ConfigurationError
from lvsctl.token_file import MAX_TOKEN, MINIMUM_TOKEN, is_private, read_token

TOKEN = "0123456789abcdef"  # noqa: S105 - of nothing
ROOT, OWN, FOREIGN = 0, 1000, 1001


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a token that only its owner can read."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_a_token_is_what_a_file_holds_without_white_space(path: Path) -> None:
    """The newline that echo and openssl add is no part of it."""
    assert TOKEN == read_token(path)


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_file_of_its_owner_alone_is_read(path: Path, mode: int) -> None:
    """Whether the owner may write it or not."""
    path.chmod(mode)
    assert TOKEN == read_token(path)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666, 0o620, 0o660, 0o777])
def test_a_file_that_others_can_read_or_write_is_refused(path: Path, mode: int) -> None:
    """With the command that mends it."""
    path.chmod(mode)
    with pytest.raises(ConfigurationError) as refused:
        read_token(path)
    assert str(refused.value) == (
        f"--token-file {path}: others can read or write it (mode 0{mode:o}), and whoever knows "
        f"its content can change the farm; chmod 0600 {path}"
    )


def test_the_file_behind_a_link_is_judged(path: Path) -> None:
    """Every link is 0777."""
    link = path.with_name("link")
    link.symlink_to(path)
    assert TOKEN == read_token(link)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 0600"):
        read_token(link)


@pytest.mark.parametrize(
    ("mode", "group", "private"),
    [
        (0o600, FOREIGN, True),
        (0o400, FOREIGN, True),
        (0o640, ROOT, True),
        (0o440, ROOT, True),
        (0o640, OWN, True),
        (0o640, FOREIGN, False),
        (0o660, ROOT, False),
        (0o620, OWN, False),
        (0o610, FOREIGN, True),
        (0o644, ROOT, False),
        (0o604, OWN, False),
        (0o601, OWN, True),
    ],
)
def test_the_group_may_read_where_it_is_roots_or_the_processs_own(
    mode: int, group: int, *, private: bool
) -> None:
    """As systemd's LoadCredential leaves it; write it may not."""
    assert private == is_private(mode, group, own_group=OWN)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "at least 16 characters; make one: (umask 077; openssl rand -hex 32 >"),
        (b"0123456789abcde\n", "at least 16 characters"),
        (b"\xff" * 20, "printable ASCII without spaces"),
        ("ü".encode() * 20, "printable ASCII without spaces"),
        (b"01234567 9abcdef", "printable ASCII without spaces"),
        (b"01234567\n9abcdef", "printable ASCII without spaces"),
        (b"0123456\x009abcdef", "printable ASCII without spaces"),
        (b"0" * (MAX_TOKEN + 1), f"longer than {MAX_TOKEN} bytes"),
    ],
)
def test_what_is_no_token_is_refused(path: Path, content: bytes, wrong: str) -> None:
    """It is sent in a header, and must not be guessed."""
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="--token-file") as refused:
        read_token(path)
    assert wrong in str(refused.value)


def test_the_shortest_and_the_longest_token_are_read(path: Path) -> None:
    for length in (MINIMUM_TOKEN, MAX_TOKEN):
        path.write_text("x" * length)
        assert "x" * length == read_token(path)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [(lambda _: None, "No such file or directory"), (Path.mkdir, "it is not a regular file")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, make: object, wrong: str) -> None:
    """With what the system says."""
    assert callable(make)
    make(tmp_path / "token")
    with pytest.raises(ConfigurationError, match=f"--token-file {tmp_path}/token: {wrong}"):
        read_token(tmp_path / "token")


def test_a_pipe_that_nobody_writes_does_not_hold_the_reader_up(tmp_path: Path) -> None:
    """An agent reads the file for every request."""
    os.mkfifo(tmp_path / "token", 0o600)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        read_token(tmp_path / "token")
