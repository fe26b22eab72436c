"""One SQLite file of ours: made whole, locked, checked, written all or nothing.

Both the store and the local state keep their rows in such a file, so what a disk can do to them
is dealt with here, once. A file appears under its name only when it is complete, so that one
which is empty or lacks its tables is always damage and never a beginning.
"""

import fcntl
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import Any, Never

from lvsctl.errors import StoreCorrupt, StoreError, StoreTooNew

Row = tuple[Any, ...]
"""Cells of a row: str, int or None, as its table says."""

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
        since: The version in which a table came, for those that the first did not have.
        loss: What to do once the file is gone, for a person.
    """

    what: str
    application_id: int
    version: int
    tables: Mapping[str, str]
    loss: str
    since: Mapping[str, int] = field(default_factory=dict)

    def statements(self, version: int) -> Mapping[str, str]:
        """Return the statement that makes each table of a version."""
        return {
            table: f"CREATE TABLE {table} (checksum INTEGER NOT NULL, {columns})"
            for table, columns in {**_META, **self.tables}.items()
            if self.since.get(table, 1) <= version
        }


class Database:
    """An open file, held by one process and used by the thread that opened it.

    Args:
        path: The file. It and its folder are made where they are missing.
        form: What it holds.
        meta: First entries of the table ``meta`` of a new file.

    Raises:
        StoreCorrupt: The file is damaged, or is something else.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses, or another process holds the file.
    """

    def __init__(self, path: Path, form: Format, meta: Mapping[str, str]) -> None:
        self._path = path
        self._form = form
        self._lock = self._take_lock()
        try:
            with self._translated():
                if not path.exists():
                    self._create(meta)
                self._connection = self._connect()
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
        """Delete rows by a statement of ours."""
        self._connection.execute(sql, values)

    def query(self, sql: str, *values: str | int) -> Sequence[Row]:
        """Return the rows of a statement of ours."""
        with self._translated():
            return self._connection.execute(sql, values).fetchall()

    def rows(self, table: str) -> Sequence[Row]:
        """Return every row of a table in the order of writing, without its checksum.

        Raises:
            StoreCorrupt: A row is not as it was written.
        """
        with self._translated():
            return self._rows(self._connection, table)

    def meta(self) -> Mapping[str, str]:
        """Return the entries of the table ``meta``."""
        return {str(key): str(value) for key, value in self.rows("meta")}

    def corrupt(self, cause: object) -> Never:
        """Refuse the file.

        Raises:
            StoreCorrupt: Always.
        """
        name = self._path.name
        raise StoreCorrupt(
            f"{self._path}: {self._form.what} is damaged: {cause}. Restore a copy of it, or move "
            f"it away together with {name}-wal and {name}-shm and start anew; then "
            f"{self._form.loss}. What the kernel forwards stays as it is meanwhile."
        )

    def check_writable(self) -> None:
        """Write what is there already, durably.

        Raises:
            StoreError: The disk refuses it.
        """
        with self.transaction():
            self.write("meta", [("written_by", version("lvsctl"))])

    def _take_lock(self) -> FileIO:
        """Lock a file beside the database: locks on that itself are SQLite's affair."""
        path = self._path.with_name(self._path.name + ".lock")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileIO(path, "a+")
        except OSError as error:
            raise StoreError(
                f"cannot make {error.filename}: {error.strerror}; the state folder must be a "
                "folder that is writable for the user that runs this"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().decode(errors="replace").strip() or "?"
            lock.close()
            if not isinstance(error, BlockingIOError):
                raise StoreError(f"cannot lock {path}: {error.strerror}") from error
            raise StoreError(
                f"{self._path} is in use by process {holder}: a state folder serves one director "
                "at a time. End that process, or choose another folder with --state-dir"
            ) from error
        with suppress(OSError):  # a full disk: the lock holds, only its holder is not named
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n".encode())
        return lock

    def _create(self, meta: Mapping[str, str]) -> None:
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
            _write(connection, "meta", [*meta.items(), ("written_by", version("lvsctl"))])
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
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None
        )
        try:
            # Without it SQLite needs a file of shared memory, for which a full disk has no room.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            found = self._check(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            self._upgrade(connection, found)
        except BaseException:
            connection.close()
            raise
        return connection

    def _upgrade(self, connection: sqlite3.Connection, found: int) -> None:
        """Make the tables that a file of an older version lacks, all at once."""
        if found == self._form.version:
            return
        old = self._form.statements(found)
        connection.execute("BEGIN IMMEDIATE")
        for table, statement in self._form.statements(self._form.version).items():
            if table not in old:
                connection.execute(statement)
        _write(connection, "meta", [("written_by", version("lvsctl"))])
        connection.execute(f"PRAGMA user_version = {self._form.version}")
        connection.execute("COMMIT")

    def _check(self, connection: sqlite3.Connection) -> int:
        """Refuse a file that is not ours or not whole, and return its version."""
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        if application_id != self._form.application_id:
            self.corrupt("it is no file of lvsctl, or one of another purpose")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > self._form.version:
            entries: dict[str, str] = dict(self._rows(connection, "meta"))
            writer = entries.get("written_by", "of another version")
            raise StoreTooNew(
                f"{self._path}: {self._form.what} has format {found}, written by lvsctl {writer}; "
                f"this is lvsctl {version('lvsctl')}, which knows format {self._form.version}. "
                "Install that version again, or restore a copy from before the upgrade"
            )
        statements = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
        if dict(statements) != self._form.statements(found):
            self.corrupt("its tables are not as they were made")
        for (finding,) in connection.execute("PRAGMA integrity_check(1)"):
            if finding != "ok":
                self.corrupt(finding)
        return int(found)

    def _rows(self, connection: sqlite3.Connection, table: str) -> list[Row]:
        rows: list[Row] = []
        query = f"SELECT * FROM {table} ORDER BY rowid"  # noqa: S608 - our own name
        for checksum, *cells in connection.execute(query):
            row = tuple(cells)
            if checksum != _checksum(row):
                self.corrupt(f"a row of its table {table} is not as it was written")
            rows.append(row)
        return rows

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what SQLite and the file system raise into errors of ours."""
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
            ((_checksum(row), *row) for row in chain([first], following)),
        )


def _checksum(row: Row) -> int:
    """Return a checksum over the cells: SQLite guards its own structure, not what they hold."""
    return zlib.crc32(ascii(row).encode())
