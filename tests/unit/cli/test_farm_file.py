"""The farm file: what cannot be read is said with its place."""

from pathlib import Path

import pytest

from lvsctl.cli.farm_file import MAX_BYTES, WrongFarmFile, read_farm_file
from lvsctl.errors import ConfigurationError, Problem


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file is."""
    return tmp_path / "farm.yaml"


def test_a_farm_file_is_read(path: Path) -> None:
    """As the REST API takes it."""
    path.write_text("services: []\npools:\n  - name: web\n")
    assert {"services": [], "pools": [{"name": "web"}]} == read_farm_file(str(path)).farm


def test_a_byte_order_mark_is_passed_over(path: Path) -> None:
    """Some editors put one."""
    path.write_bytes(b"\xef\xbb\xbfservices: []\n")
    assert {"services": []} == read_farm_file(str(path)).farm


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: the document: it is empty (allowed: services: and pools:)"),
        (
            b"- web\n",
            ":1: the document: it is not a mapping (allowed: a mapping with services: and pools:",
        ),
        (b"\n\nweb\n", ":3: the document: it is not a mapping"),
        (b"a: 1\nb: \xff\n", ":2: the document: byte 0xff is not UTF-8"),
        ("a: ä\n".encode("latin-1"), ":1: the document: byte 0xe4 is not UTF-8"),
        (b"a: 1\na: 2\n", ":2: /a: duplicate key 'a', first on line 1 (allowed: each once)"),
        (b"\x1f\x8b\x08\x00", ":1: the document: byte 0x8b is not UTF-8"),
        (b"\x00", ":1: the document: a non-printable character"),
    ],
)
def test_what_is_no_farm_file_is_refused(path: Path, content: bytes, message: str) -> None:
    """With file, line and field."""
    path.write_bytes(content)
    with pytest.raises(WrongFarmFile) as refusal:
        read_farm_file(str(path))
    assert str(refusal.value).startswith(f"{path}{message}")


def test_a_huge_file_is_refused_unread(path: Path) -> None:
    """Forty megabytes are no farm file."""
    with path.open("wb") as file:
        file.truncate(40_000_000)
    with pytest.raises(ConfigurationError, match=f"it is larger than {MAX_BYTES} bytes"):
        read_farm_file(str(path))


@pytest.mark.parametrize(
    ("name", "cause"), [("missing.yaml", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, name: str, cause: str) -> None:
    """With the cause."""
    with pytest.raises(ConfigurationError) as refusal:
        read_farm_file(str(tmp_path / name))
    assert f"{tmp_path / name}: {cause}" == str(refusal.value)


def test_what_the_director_finds_wrong_is_shown_in_the_file(path: Path) -> None:
    """Each problem at the line of its pointer, from top to bottom."""
    path.write_text("services:\n  - name: web\n    scheduler: foo\npools: []\n")
    error = read_farm_file(str(path)).explain(
        [
            Problem("/services/0/scheduler", "'foo' is no scheduler", "rr, wlc"),
            Problem("/services/0/vip", "it is missing"),
            Problem("/settings/vips", "it is odd"),
        ]
    )
    assert str(error).splitlines() == [
        f"{path}:1: /settings/vips: it is odd",
        f"{path}:2: /services/0/vip: it is missing",
        f"{path}:3: /services/0/scheduler: 'foo' is no scheduler (allowed: rr, wlc)",
    ]
