"""The table of files of a director's state folder and of what happens to each."""

import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support.damage import (
    CONTENT,
    SPECIAL,
    Damage,
    replaced,
)
from tests.support.database_damage import (
    OF_ANOTHER_FORMAT,
    ON_DISK,
    ON_JOURNAL,
    forged,
    signed,
    sql,
)
from tests.support.permissions import modes_count

DATABASES = ("farm.db", "local.db", "events.db")


@dataclass(frozen=True)
class Scene:
    """Where a file is damaged.

    Attributes:
        folder: The state folder.
        older: A copy of it from before the last write.
        another: The state folder of a director with another farm.
        until: Ends what lasts as long as the director runs.
    """

    folder: Path
    older: Path
    another: Path
    until: ExitStack


@dataclass(frozen=True)
class Case:
    """A file, and what happens to it.

    Attributes:
        file: Its name in the state folder.
        what: In words.
        damage: Does it.
        killed: The director was killed, so that its journals are full; else it was stopped.
    """

    file: str
    what: str
    damage: Callable[[Scene, Path], None]
    killed: bool = False

    def __str__(self) -> str:
        return f"{self.file} {self.what}{' after a kill' if self.killed else ''}"


def to_the_file(damage: Damage) -> Callable[[Scene, Path], None]:
    return lambda _, path: damage(path)


def unreadable(scene: Scene, path: Path) -> None:
    """Take all permissions away."""
    path.touch()
    path.chmod(0)
    scene.until.callback(path.chmod, 0o600)
    scene.until.enter_context(modes_count())


def not_writable(scene: Scene, path: Path) -> None:
    """Leave the permission to read."""
    path.touch()
    path.chmod(0o400)
    scene.until.callback(path.chmod, 0o600)
    scene.until.enter_context(modes_count())


def in_a_read_only_folder(scene: Scene, path: Path) -> None:
    """Lose the file, in a folder in which none can be made."""
    path.unlink(missing_ok=True)
    scene.folder.chmod(0o500)
    scene.until.callback(scene.folder.chmod, 0o700)
    scene.until.enter_context(modes_count())


def in_a_folder_without_permissions(scene: Scene, _: Path) -> None:
    """Have a folder that cannot be entered."""
    scene.folder.chmod(0)
    scene.until.callback(scene.folder.chmod, 0o700)
    scene.until.enter_context(modes_count())


def on_a_full_disk(scene: Scene, path: Path) -> None:
    """Lose the file, on a disk on which no file grows."""
    path.unlink(missing_ok=True)
    _no_file_grows(scene)


def whole_on_a_full_disk(scene: Scene, _: Path) -> None:
    """Have nothing but the disk full."""
    _no_file_grows(scene)


def _no_file_grows(scene: Scene) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    scene.until.callback(resource.setrlimit, resource.RLIMIT_FSIZE, before)


def older_with_its_journal(scene: Scene, path: Path) -> None:
    """Restore a copy that was made while the director ran."""
    replace_database(path, scene.older / path.name)


def older_alone(scene: Scene, path: Path) -> None:
    """Restore a copy that was made while the director ran, without its journal."""
    replace_database(path, scene.older / path.name, journal=False)


def anothers(scene: Scene, path: Path) -> None:
    """Have the file of another farm's director."""
    replace_database(path, scene.another / path.name)


def anothers_file(scene: Scene, path: Path) -> None:
    """Have this one file of another farm's director."""
    shutil.copyfile(scene.another / path.name, path)


def older_file(scene: Scene, path: Path) -> None:
    """Have an older state of this one file."""
    shutil.copyfile(scene.older / path.name, path)


def with_its_journal_gone_too(_: Scene, path: Path) -> None:
    """Lose a database whole."""
    remove_database(path)


def everything_gone(scene: Scene, _: Path) -> None:
    """Lose all databases and what belongs to them."""
    for name in DATABASES:
        for each in scene.folder.glob(f"{name}*"):
            each.unlink()


def swapped_with(other: str) -> Callable[[Scene, Path], None]:
    """Return what exchanges two databases."""

    def swap(scene: Scene, path: Path) -> None:
        aside = scene.folder / "aside"
        path.rename(aside)
        (scene.folder / other).rename(path)
        aside.rename(scene.folder / other)

    return swap


def replace_database(path: Path, source: Path, *, journal: bool = True) -> None:
    """Put another database in one's place, as cp(1) does after rm(1)."""
    remove_database(path)
    for suffix in ("", "-wal") if journal else ("",):
        found = source.with_name(source.name + suffix)
        if found.exists():
            shutil.copyfile(found, path.with_name(path.name + suffix))


def remove_database(path: Path) -> None:
    """Delete a database with its journal."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def somebody_listens(scene: Scene, path: Path) -> None:
    """Have another process's socket there."""
    listener = scene.until.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(os.fspath(path))
    listener.listen()


def nobody_listens(_: Scene, path: Path) -> None:
    """Have the socket of a director that was killed there."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))


def readable_for_all(_: Scene, path: Path) -> None:
    """Give everybody the token."""
    path.chmod(0o644)


ROWS: dict[str, dict[str, Damage]] = {
    "farm.db": {
        "a service deleted": sql("DELETE FROM live WHERE name = 'api'"),
        "a service deleted, forged": forged("DELETE FROM live WHERE name = 'api'"),
        "a VIP altered": sql("UPDATE live SET document = replace(document, '.100.20', '.100.30')"),
        "a VIP altered, signed": signed(
            "live", "UPDATE live SET document = replace(document, '.100.20', '.100.30')"
        ),
        "a VIP altered, forged": forged(
            "UPDATE live SET document = replace(document, '.100.20', '.100.30')"
        ),
        "no JSON, forged": forged("UPDATE live SET document = '{' WHERE name = 'api'"),
        "another kind, forged": forged("UPDATE live SET kind = 'x' WHERE kind = 'service'"),
        "all objects deleted": sql("DELETE FROM live"),
        "all objects deleted, forged": forged("DELETE FROM live"),
        "the history deleted": sql("DELETE FROM log"),
        "the history altered": sql("UPDATE log SET entry = zeroblob(9)"),
        "the head gone": sql("DELETE FROM head"),
        "the head lower": sql("UPDATE head SET revision = 1"),
        "the head lower, signed": signed("head", "UPDATE head SET revision = 1"),
        "the head higher, signed": signed("head", "UPDATE head SET revision = 99"),
        "another farm's head, signed": signed("head", "UPDATE head SET farm_id = 'x'"),
        "a trigger": sql(
            "CREATE TRIGGER t AFTER UPDATE ON head BEGIN DELETE FROM live WHERE kind = 'service';"
            " END"
        ),
    },
    "local.db": {
        "claims deleted": sql("DELETE FROM claims"),
        "a claim deleted": sql("DELETE FROM claims WHERE service = 'api'"),
        "claims altered": sql("UPDATE claims SET service = 'x'"),
        "claims altered, signed": signed("claims", "UPDATE claims SET service = 'x'"),
        "claims of no service, signed": signed("claims", "UPDATE claims SET key = 'x' || key"),
        "claims of the host deleted": sql("DELETE FROM host_claims"),
        "probe marks deleted": sql("DELETE FROM probe_marks"),
        "probe marks altered": sql("UPDATE probe_marks SET mark = '{}'"),
        "probe marks altered, signed": signed("probe_marks", "UPDATE probe_marks SET mark = '{}'"),
        "verdicts deleted": sql("DELETE FROM verdicts"),
        "verdicts altered": sql("UPDATE verdicts SET verdict = '{}'"),
        "verdicts altered, signed": signed("verdicts", "UPDATE verdicts SET verdict = '{}'"),
        "another boot, signed": signed(
            "meta", "UPDATE meta SET value = 'another' WHERE key = 'boot_id'"
        ),
        "the service gone from what was applied": sql("DELETE FROM applied WHERE name = 'api'"),
        "a VIP altered in what was applied, signed": signed(
            "applied", "UPDATE applied SET document = replace(document, '.100.20', '.100.30')"
        ),
        "nothing applied": sql("DELETE FROM applied"),
        "no position applied": sql("DELETE FROM applied_position"),
        "no mode": sql("DELETE FROM meta WHERE key = 'mode'"),
    },
    "events.db": {
        "events deleted": sql("DELETE FROM events"),
        "an event deleted": sql("DELETE FROM events WHERE id = 2"),
        "events altered": sql("UPDATE events SET document = '{}'"),
        "events altered, signed": signed("events", "UPDATE events SET document = '{}'"),
        "ids out of range, signed": signed(
            "events", "UPDATE events SET id = id + 4611686018427387904"
        ),
    },
}


def cases() -> Iterator[Case]:
    """Yield the table."""
    for name in DATABASES:
        for what, damage in {**CONTENT, **SPECIAL, **ON_DISK, **OF_ANOTHER_FORMAT}.items():
            yield Case(name, what, to_the_file(damage))
        for what, damage in ROWS[name].items():
            yield Case(name, what, to_the_file(damage))
        for killed in (False, True):
            yield Case(name, "an older copy", older_with_its_journal, killed)
            yield Case(name, "an older copy without journal", older_alone, killed)
            yield Case(name, "another farm's", anothers, killed)
            yield Case(name, "another farm's file alone", anothers_file, killed)
            yield Case(name, "gone with its journal", with_its_journal_gone_too, killed)
        yield Case(name, "unreadable", unreadable)
        yield Case(name, "not writable", not_writable)
        yield Case(name, "gone in a read-only folder", in_a_read_only_folder)
        yield Case(name, "gone on a full disk", on_a_full_disk)
        for what, damage in {**CONTENT, **ON_JOURNAL, **SPECIAL}.items():
            yield Case(f"{name}-wal", what, to_the_file(damage), killed=True)
        yield Case(f"{name}-wal", "another farm's file alone", anothers_file, killed=True)
        yield Case(f"{name}-wal", "an older file alone", older_file, killed=True)
        yield Case(f"{name}-wal", "garbage after a stop", to_the_file(replaced(b"x" * 5000)))
        yield Case(f"{name}-wal", "unreadable", unreadable, killed=True)
        for what, damage in {"garbage": replaced(b"x" * 99), **SPECIAL}.items():
            yield Case(f"{name}-shm", what, to_the_file(damage), killed=True)
            yield Case(f"{name}.lock", what, to_the_file(damage))
        yield Case(f"{name}.lock", "unreadable", unreadable)
    yield from (
        Case("farm.db.acknowledged", what, to_the_file(damage))
        for what, damage in {**CONTENT, **SPECIAL}.items()
    )
    yield Case("farm.db.acknowledged", "older", older_file)
    yield Case("farm.db.acknowledged", "another farm's", anothers_file)
    yield Case("farm.db.acknowledged", "unreadable", unreadable)
    yield Case("farm.db", "swapped with local.db", swapped_with("local.db"))
    yield Case("farm.db", "swapped with events.db", swapped_with("events.db"))
    yield Case("local.db", "swapped with events.db", swapped_with("events.db"))
    for what, damage in {**CONTENT, **SPECIAL}.items():
        yield Case("token", what, to_the_file(damage))
    yield Case("token", "unreadable", unreadable)
    yield Case("token", "readable for all", readable_for_all)
    for what, damage in {"garbage": replaced(b"x"), **SPECIAL}.items():
        yield Case("director.sock", what, to_the_file(damage))
    yield Case("director.sock", "nobody's", nobody_listens)
    yield Case("director.sock", "somebody else's", somebody_listens)
    for killed in (False, True):
        yield Case("farm.db", "whole on a full disk", whole_on_a_full_disk, killed)
        yield Case("farm.db", "gone with all others", everything_gone, killed)
        yield Case("farm.db", "in a closed folder", in_a_folder_without_permissions, killed)


CASES = [*cases()]
STORES_NOT_FOLLOWED = (
    "gone with its journal",
    "an older copy",
    "another farm's",
    "a service deleted, forged",
)
