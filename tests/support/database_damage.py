"""What somebody with sqlite3(1) does to a database of lvsctl, and what a disk does to its pages."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from lvsctl.store.digest import checksum, digest, digest_text, updated_digest
from tests.support.damage import Damage, flipped_after, flipped_between, truncated_at, zeroed

PAGE = 4096


def sql(*statements: str) -> Damage:
    """Return what changes a database behind lvsctl's back."""
    return changed_by(lambda connection: [connection.execute(each) for each in statements])


def signed(table: str, *statements: str) -> Damage:
    """Return the same with the checksum of every row of a table written anew."""

    def change(connection: sqlite3.Connection) -> None:
        for each in statements:
            connection.execute(each)
        sign(connection, table)

    return changed_by(change)


def forged(*statements: str) -> Damage:
    """Return what changes the live rows of a farm, with every checksum and the digest of them."""

    def change(connection: sqlite3.Connection) -> None:
        for each in statements:
            connection.execute(each)
        sign(connection, "live")
        rows = [tuple(cells) for _, *cells in connection.execute("SELECT * FROM live")]
        total = digest_text(updated_digest(0, added=sum(map(digest, rows))))
        connection.execute("UPDATE head SET digest = ?", (total,))
        sign(connection, "head")

    return changed_by(change)


def changed_by(change: Callable[[sqlite3.Connection], object]) -> Damage:
    """Return what changes a database over a connection."""

    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            change(connection)
            connection.commit()

    return damage


def sign(connection: sqlite3.Connection, table: str) -> None:
    """Write the checksum of every row of a table anew."""
    for rowid, _, *cells in connection.execute(f"SELECT rowid, * FROM {table}").fetchall():  # noqa: S608
        statement = f"UPDATE {table} SET checksum = ? WHERE rowid = ?"  # noqa: S608
        connection.execute(statement, (checksum(tuple(cells)), rowid))


ON_DISK: dict[str, Damage] = {
    "cut off in the header": truncated_at(70),
    "cut off in a page": truncated_at(PAGE + 100),
    "cut off after the schema": truncated_at(PAGE),
    "64 zeros in the header": zeroed(20),
    "64 zeros in the schema": zeroed(PAGE - 64),
    "64 zeros in the last page": zeroed(-64),
    "64 zeros where a page begins": zeroed(2 * PAGE),
    **{f"bit {n} of the header flipped": flipped_between(0, 99, n) for n in range(5)},
    **{f"bit {n} of the schema flipped": flipped_between(100, PAGE - 1, n) for n in range(4)},
    **{f"bit {n} of the data flipped": flipped_after(PAGE, n) for n in range(8)},
}
"""To the pages of a database file."""

ON_JOURNAL: dict[str, Damage] = {
    "cut off in the header": truncated_at(20),
    "cut off in a frame": truncated_at(32 + 24 + 1000),
    "64 zeros in the header": zeroed(0, 32),
    "64 zeros in the first frame": zeroed(100),
    "64 zeros in the last frame": zeroed(-1000),
    **{f"bit {n} of the header flipped": flipped_between(0, 31, n) for n in range(2)},
    **{f"bit {n} of a frame flipped": flipped_after(32, n) for n in range(5)},
}
"""To the frames of a write-ahead log."""

OF_ANOTHER_FORMAT: dict[str, Damage] = {
    "of a newer version": sql("PRAGMA user_version = 99"),
    "of no version": sql("PRAGMA user_version = 0"),
    "of another application": sql("PRAGMA application_id = 7"),
    "without its meta rows": sql("DELETE FROM meta"),
    "with meta rows of another": sql("UPDATE meta SET value = 'x'"),
    "with meta rows forged": signed("meta", "UPDATE meta SET value = 'x'"),
    "with a table too many": sql("CREATE TABLE guest (x)"),
    "without a table": sql("DROP TABLE meta"),
}
"""To what says which format a database has."""
