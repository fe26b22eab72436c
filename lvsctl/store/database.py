"""One SQLite file of lvsctl: made whole, locked, checked, written all or nothing.

Both the store and the local state keep their rows in such a file, so what a disk can do to them
is dealt with here, once. A file appears under its name only when it is complete, so that one
which is empty or lacks its tables is always damage and never a beginning.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Never

from lvsctl.errors import StoreCorrupt, StoreError, StoreTooNew
from lvsctl.store.digest import Row, checksum
from lvsctl.store.lock import take_lock

_META = {"meta": "key TEXT PRIMARY KEY, value TEXT NOT NULL"}
# Our statements are right, so where SQLite finds fault with one (ERROR), the file is not.
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,
}
_CURES = {
    sqlite3.SQLITE_FULL: "free some space there",
    sqlite3.SQLITE_IOERR: "look for errors of the disk in the kernel's log, and for free space",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder readable and writable for this user",
    sqlite3.SQLITE_BUSY: "end the other process that works on the file",
}


@dataclass(frozen=True, slots=True)
class Format:
    """What a database file holds.

    Attributes:
        what: Its purpose, for messages.
        application_id: Mark in the file's header that tells this format from any other.
        version: Of the tables; a file with a higher one is refused.
        tables: Name and columns of each; a checksum over each row is kept beside them.
        cure: What to do about a damaged file, for a person; never what would take traffic away.
        since: The version in which a table came, for those that the first did not have.
        older: All tables of an older version, where this one has others in their place.
        upgrade: Fills the tables that came in place of others, before those are dropped.
        read_in_part: Tables without a limit, of which opening the file checks nothing.
    """

    what: str
    application_id: int
    version: int
    tables: Mapping[str, str]
    cure: str
    since: Mapping[str, int] = field(default_factory=dict)
    older: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    upgrade: "Callable[[Database], None] | None" = None
    read_in_part: frozenset[str] = frozenset()

    def statements(self, version: int) -> Mapping[str, str]:
        """Return the statement that makes each table of a version."""
        tables = self.older.get(version, self.tables)
        return {
            table: f"CREATE TABLE {table} (checksum INTEGER NOT NULL, {columns})"
            for table, columns in {**_META, **tables}.items()
            if self.since.get(table, 1) <= version
        }


class Database:
    """An open file, held by one process and used by the thread that opened it.

    Args:
        path: The file. It and its folder are made where they are missing.
        form: What it holds.
        meta: First entries of the table ``meta`` of a new file.
        rows: First rows of its other tables.

    Raises:
        StoreCorrupt: The file is damaged, or is something else.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses, or another process holds the file.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        meta: Mapping[str, str],
        rows: Mapping[str, Sequence[Row]] | None = None,
    ) -> None:
        self._path = path
        self._form = form
        self._lock = take_lock(path)
        try:
            with self._translated():
                if not path.exists():
                    self._create({"meta": list(meta.items()), **(rows or {})})
                self._identity = _identity(path)
                self._connection = self._connect()
                self._prepare()
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        with self._translated():
            self._connection.close()
            self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything that is written inside durable at once, or nothing of it."""
        with self._translated():
            self._check_place()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                # Some failures of the disk have ended the transaction already, others have not.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def write(self, table: str, rows: Iterable[Row]) -> None:
        """Write rows, given without their checksum; one with a present primary key replaces."""
        _write(self._connection, table, rows)

    def delete(self, sql: str, *values: str | int) -> None:
        """Delete rows by an SQL statement."""
        self._connection.execute(sql, values)

    def query(self, sql: str, *values: str | int) -> Sequence[Row]:
        """Return the rows of an SQL statement."""
        with self._translated():
            return self._connection.execute(sql, values).fetchall()

    def rows(self, table: str, clause: str = "ORDER BY rowid", *values: str | int) -> Sequence[Row]:
        """Return rows of a table, all in the order of writing or those of an SQL clause.

        Raises:
            StoreCorrupt: A row is not as it was written.
        """
        return list(self.each(table, clause, *values))

    def each(self, table: str, clause: str = "ORDER BY rowid", *values: str | int) -> Iterator[Row]:
        """Yield what :meth:`rows` returns, for a table that is too long for memory."""
        query = f"SELECT * FROM {table} {clause}"  # noqa: S608 - our own words
        with self._translated():
            for found, *cells in self._connection.execute(query, values):
                row = tuple(cells)
                if found != checksum(row):
                    self.corrupt(f"a row of its table {table} is not as it was written")
                yield row

    def meta(self, key: str) -> str:
        """Return an entry of the table ``meta``.

        Raises:
            StoreCorrupt: It is not there, or not as it was written.
        """
        entries: dict[str, str] = dict(self.rows("meta"))
        if key not in entries:
            self.corrupt(f"its table meta has no entry {key}")
        return entries[key]

    def corrupt(self, cause: object) -> Never:
        """Refuse the file.

        Raises:
            StoreCorrupt: Always.
        """
        raise StoreCorrupt(
            f"{self._path}: {self._form.what} is damaged: {cause}. What the kernel forwards stays "
            f"as it is. {self._form.cure}"
        )

    def check_writable(self) -> None:
        """Write what is there already, durably.

        Raises:
            StoreError: The disk refuses it.
        """
        with self.transaction():
            self.write("meta", [("written_by", version("lvsctl"))])

    def _check_place(self) -> None:
        """Refuse to write a file that nobody would find again.

        Another process could have opened what is under its name now.
        """
        try:
            found = _identity(self._path)
        except FileNotFoundError:
            found = None
        if found != self._identity:
            raise StoreError(
                f"{self._path} is not the file that this process ({os.getpid()}) has open: it or "
                "its folder was moved or replaced; nothing was stored. Move it back, or end this "
                "process and start it with the --state-dir that is meant"
            )

    def _create(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Make the file under another name, and rename it once it is complete on the disk."""
        journal = self._path.with_name(self._path.name + "-wal")
        if journal.exists():
            self.corrupt(f"its journal {journal.name} is there, the file itself is not")
        unfinished = self._path.with_name(self._path.name + ".new")
        unfinished.unlink(missing_ok=True)
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("BEGIN")
            connection.execute(f"PRAGMA application_id = {self._form.application_id}")
            connection.execute(f"PRAGMA user_version = {self._form.version}")
            for statement in self._form.statements(self._form.version).values():
                connection.execute(statement)
            for table, first in rows.items():
                _write(connection, table, first)
            _write(connection, "meta", [("written_by", version("lvsctl"))])
            connection.execute("COMMIT")
        unfinished.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _connect(self) -> sqlite3.Connection:
        if self._path.stat().st_size == 0:
            self.corrupt("it is empty")
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None
        )

    def _prepare(self) -> None:
        """Check the file that was opened, and bring it to this version."""
        try:
            # Without it SQLite needs a file of shared memory, for which a full disk has no room.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            found = self._check()
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            if found < self._form.version:
                self._upgrade(found)
        except BaseException:
            self._connection.close()
            raise

    def _upgrade(self, found: int) -> None:
        """Give a file of an older version the tables of this one, all at once."""
        old, new = self._form.statements(found), self._form.statements(self._form.version)
        with self.transaction():
            for table in new.keys() - old.keys():
                self._connection.execute(new[table])
            if self._form.upgrade and found in self._form.older:
                self._form.upgrade(self)
            for table in old.keys() - new.keys():
                self._connection.execute(f"DROP TABLE {table}")
            self.write("meta", [("written_by", version("lvsctl"))])
            self._connection.execute(f"PRAGMA user_version = {self._form.version}")

    def _check(self) -> int:
        """Refuse a file that is not ours or not whole, and return its version."""
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        if application_id != self._form.application_id:
            self.corrupt("it is no file of lvsctl, or one of another purpose")
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        writer = self.meta("written_by")
        if found > self._form.version:
            raise StoreTooNew(
                f"{self._path}: {self._form.what} has format {found}, written by lvsctl {writer}; "
                f"this is lvsctl {version('lvsctl')}, which knows format {self._form.version}. "
                "Install that version again, or restore a copy from before the upgrade"
            )
        statements = self._connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table'"
        )
        if dict(statements) != self._form.statements(found):
            self.corrupt("its tables are not as they were made")
        for what in self._checked_tables(found):
            for (finding,) in self._connection.execute(f"PRAGMA integrity_check({what})"):
                if finding != "ok":
                    self.corrupt(finding)
        return int(found)

    def _checked_tables(self, found: int) -> Iterable[str]:
        """Return what to check the structure of: everything, or all tables that have a limit."""
        if not self._form.read_in_part:
            return ("1",)
        return self._form.statements(found).keys() - self._form.read_in_part

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what SQLite and the file system raise into lvsctl's errors."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None and isinstance(error, sqlite3.OperationalError):
                self.corrupt(error)  # text that is not UTF-8: the one such error without a code
            if code is not None and code & 0xFF in _DAMAGED:
                self.corrupt(error)
            cure = _CURES.get(code & 0xFF) if code is not None else None
            raise StoreError(
                f"{self._path}: {error}; nothing was stored" + (f"; {cure}" if cure else "")
            ) from error
        except UnicodeDecodeError as error:
            self.corrupt(error)
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}; nothing was stored") from error


def _write(connection: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Write rows one after the other, so that a long text need not outlast its own row."""
    following = iter(rows)
    first = next(following, None)
    if first is not None:
        marks = ",".join("?" * (1 + len(first)))
        connection.executemany(
            f"INSERT OR REPLACE INTO {table} VALUES ({marks})",  # noqa: S608 - our own name
            ((checksum(row), *row) for row in chain([first], following)),
        )


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from every other, whatever its name."""
    found = path.stat()
    return found.st_dev, found.st_ino
