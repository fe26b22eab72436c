"""One SQLite file: created atomically, locked, checked, and written in transactions.

Store, local state and event log all keep their rows in such a file, so disk errors and damage are
handled here once. A file gets its name only when it is complete, so that a file that is empty or
lacks tables is always damaged, and never a new one.
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
# lvsctl's statements are valid, so if SQLite rejects one (SQLITE_ERROR), the file is damaged.
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,
}
_CURES = {
    sqlite3.SQLITE_FULL: "free some space there",
    sqlite3.SQLITE_IOERR: "look for disk errors in the kernel's log, and check for free space",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder readable and writable for this user",
    sqlite3.SQLITE_BUSY: "end the other process that uses the file",
}


@dataclass(frozen=True, slots=True)
class Format:
    """The schema of a database file.

    Attributes:
        what: Its purpose, for messages.
        application_id: SQLite's application id of this format.
        version: Version of the schema; files with a higher one are refused.
        tables: Columns of each table, by name; a column with a checksum of the row is added.
        cure: How to recover from a damaged file, for messages; nothing that affects traffic.
        since: The version that introduced a table, for tables that version 1 did not have.
        older: All tables of an older version, if this version replaces them.
        upgrade: Fills the tables that replace those of an older version, before these are dropped.
        read_in_part: Unbounded tables, which are not checked when the file is opened.
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
        """Return the statement that creates each table of a version."""
        tables = self.older.get(version, self.tables)
        return {
            table: f"CREATE TABLE {table} (checksum INTEGER NOT NULL, {columns})"
            for table, columns in {**_META, **tables}.items()
            if self.since.get(table, 1) <= version
        }


class Database:
    """An open file, locked by one process and used by the thread that opened it.

    Args:
        path: The file; it and its folder are created if missing.
        form: Its schema.
        meta: Initial entries of the table ``meta``.
        rows: Initial rows of other tables.

    Raises:
        StoreCorrupt: The file is damaged, or is another kind of file.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk failed, or another process has locked the file.
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
        """Close the file and release its lock."""
        with self._translated():
            self._connection.close()
            self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all writes in the block durable, or none of them."""
        with self._translated():
            self._check_identity()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                # Some disk errors have already ended the transaction, others have not.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def write(self, table: str, rows: Iterable[Row]) -> None:
        """Insert rows, given without checksums; replace those with the same primary key."""
        _write(self._connection, table, rows)

    def delete(self, sql: str, *values: str | int) -> None:
        """Delete rows by an SQL statement."""
        self._connection.execute(sql, values)

    def query(self, sql: str, *values: str | int) -> Sequence[Row]:
        """Return the result rows of an SQL statement."""
        with self._translated():
            return self._connection.execute(sql, values).fetchall()

    def rows(self, table: str, clause: str = "ORDER BY rowid", *values: str | int) -> Sequence[Row]:
        """Return the rows of a table: all of them in insertion order, or as an SQL clause says.

        Raises:
            StoreCorrupt: A row's checksum is wrong.
        """
        return list(self.each(table, clause, *values))

    def each(self, table: str, clause: str = "ORDER BY rowid", *values: str | int) -> Iterator[Row]:
        """Like :meth:`rows`, as an iterator, for tables too large for memory."""
        query = f"SELECT * FROM {table} {clause}"  # noqa: S608 - constants of lvsctl
        with self._translated():
            for found, *cells in self._connection.execute(query, values):
                row = tuple(cells)
                if found != checksum(row):
                    self.corrupt(f"a row of its table {table} is not as it was written")
                yield row

    def meta(self, key: str) -> str:
        """Return an entry of the table ``meta``.

        Raises:
            StoreCorrupt: It is missing, or its checksum is wrong.
        """
        entries: dict[str, str] = dict(self.rows("meta"))
        if key not in entries:
            self.corrupt(f"its table meta has no entry {key}")
        return entries[key]

    def corrupt(self, cause: object) -> Never:
        """Report the file as damaged.

        Raises:
            StoreCorrupt: Always.
        """
        raise StoreCorrupt(
            f"{self._path}: {self._form.what} is damaged: {cause}. Forwarding in the kernel is "
            f"not affected. {self._form.cure}"
        )

    def check_writable(self) -> None:
        """Durably write something that changes nothing.

        Raises:
            StoreError: The disk failed.
        """
        with self.transaction():
            self.write("meta", [("written_by", version("lvsctl"))])

    def _check_identity(self) -> None:
        """Refuse to write if the open file is no longer the one at its path.

        Nobody would find it again, and another process may use the file that is there now.
        """
        try:
            found = _identity(self._path)
        except FileNotFoundError:
            found = None
        if found != self._identity:
            raise StoreError(
                f"{self._path} is not the file that this process ({os.getpid()}) has open: it or "
                "its folder was moved or replaced; nothing was stored. Move it back, or restart "
                "this process with the right --state-dir"
            )

    def _create(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Create the file under another name, and rename it once it is complete and on disk."""
        journal = self._path.with_name(self._path.name + "-wal")
        if journal.exists():
            self.corrupt(f"its journal {journal.name} exists, but the file itself does not")
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
        """Check the opened file, and upgrade it to this version."""
        try:
            # Otherwise SQLite needs a shared-memory file, which cannot be created on a full disk.
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
        """Convert a file of an older version, in one transaction."""
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
        """Refuse a file of another kind or a damaged one; return its version."""
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        if application_id != self._form.application_id:
            self.corrupt("it was not written by lvsctl, or is another of its files")
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        writer = self.meta("written_by")
        if found > self._form.version:
            raise StoreTooNew(
                f"{self._path}: {self._form.what} has format {found}, written by lvsctl {writer}; "
                f"this is lvsctl {version('lvsctl')}, which supports format {self._form.version}. "
                "Install the newer version again, or restore a backup from before the upgrade"
            )
        statements = self._connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table'"
        )
        if dict(statements) != self._form.statements(found):
            self.corrupt("its tables were altered")
        for what in self._checked_tables(found):
            for (finding,) in self._connection.execute(f"PRAGMA integrity_check({what})"):
                if finding != "ok":
                    self.corrupt(finding)
        return int(found)

    def _checked_tables(self, found: int) -> Iterable[str]:
        """Return the arguments for integrity_check: the whole file, or all bounded tables."""
        if not self._form.read_in_part:
            return ("1",)
        return self._form.statements(found).keys() - self._form.read_in_part

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate errors of SQLite and the file system to lvsctl's."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None and isinstance(error, sqlite3.OperationalError):
                self.corrupt(error)  # text that is not UTF-8: the only such error without a code
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
    """Write rows lazily, so that only one row at a time has to be in memory."""
    following = iter(rows)
    first = next(following, None)
    if first is not None:
        marks = ",".join("?" * (1 + len(first)))
        connection.executemany(
            f"INSERT OR REPLACE INTO {table} VALUES ({marks})",  # noqa: S608 - a constant of lvsctl
            ((checksum(row), *row) for row in chain([first], following)),
        )


def _identity(path: Path) -> tuple[int, int]:
    """Return device and inode of a file."""
    found = path.stat()
    return found.st_dev, found.st_ino
