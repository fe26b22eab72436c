"""The local state in one SQLite file."""

from collections.abc import Collection, Mapping
from pathlib import Path

from lvsctl.health.marks import ProbeMark, ProbeMarks, TunnelPath
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.ipvs.table import ServiceKey
from lvsctl.store.applied import AppliedRows
from lvsctl.store.database import Database, Format
from lvsctl.store.documents import (
    decode_kept_verdict,
    decode_mode,
    decode_probe_id,
    decode_probe_mark,
    decode_service_key,
    decode_tunnel_path,
    encode_kept_verdict,
    encode_key,
    encode_mode,
    encode_probe_id,
    encode_probe_mark,
    encode_tunnel_path,
)
from lvsctl.store.host_claims import SqliteHostClaims
from lvsctl.store.interface import Contents, Mode, changed_verdicts

FORMAT = Format(
    what="this director's local state",
    application_id=0x4C56_536C,
    version=5,
    tables={
        "claims": "key TEXT PRIMARY KEY, service TEXT NOT NULL",
        "host_claims": "key TEXT PRIMARY KEY",
        "probe_marks": "path TEXT PRIMARY KEY, mark TEXT NOT NULL",
        "verdicts": "probe TEXT PRIMARY KEY, verdict TEXT NOT NULL",
        # The last applied farm; places are in the order of its objects.
        "applied": "place INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,"
        " revision INTEGER NOT NULL, document TEXT NOT NULL",
        "applied_position": "id INTEGER PRIMARY KEY, farm_id TEXT NOT NULL,"
        " epoch INTEGER NOT NULL, revision INTEGER NOT NULL, digest TEXT NOT NULL",
    },
    since={"probe_marks": 2, "verdicts": 3, "applied": 4, "applied_position": 4},
    cure="Stop the director, move the file away and start the director again; then adopt the "
    "farm's services as they are in the kernel (lvsctl service adopt --all)",
)


class SqliteLocalState:
    """The local state in an SQLite file.

    Args:
        path: The file, ``local.db`` in the state folder; created if missing.
        boot_id: Identifies the booted kernel and the network namespace. Claims of another are void
            and are deleted here; probe marks, verdicts and the mode stay.

    Raises:
        StoreCorrupt: The file is damaged, or is another kind of file.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk failed, or another process has locked the file.
    """

    def __init__(self, path: Path, boot_id: str) -> None:
        self._database = Database(path, FORMAT, {"boot_id": boot_id, "mode": encode_mode(Mode())})
        try:
            self._void_claims_of_another_boot(boot_id)
            self._read()
        except BaseException:
            self._database.close()
            raise

    def _void_claims_of_another_boot(self, boot_id: str) -> None:
        if self._database.meta("boot_id") == boot_id:
            return
        with self._database.transaction():
            self._database.delete("DELETE FROM claims")
            self._database.delete("DELETE FROM host_claims")
            self._database.write("meta", [("boot_id", boot_id)])

    def _read(self) -> None:
        """Read everything once; later reads are from memory."""
        try:
            self._claims: dict[ServiceKey, str] = {
                decode_service_key(key): service for key, service in self._database.rows("claims")
            }
            self.host_claims = SqliteHostClaims(self._database)
            self._probe_marks: dict[TunnelPath, ProbeMark] = {
                decode_tunnel_path(path): decode_probe_mark(mark)
                for path, mark in self._database.rows("probe_marks")
            }
            self._verdicts: dict[ProbeId, KeptVerdict] = {
                decode_probe_id(probe): decode_kept_verdict(verdict)
                for probe, verdict in self._database.rows("verdicts")
            }
            self._mode = decode_mode(self._database.meta("mode"))
            self._applied = AppliedRows(self._database)
        except ValueError as error:
            self._database.corrupt(error)

    def claims(self) -> Mapping[ServiceKey, str]:
        """Return the claimed keys of virtual services, each with the name of its service."""
        return dict(self._claims)

    def claim(self, keys: Mapping[ServiceKey, str]) -> None:
        """Claim keys for services; those already claimed are not written."""
        new = {key: name for key, name in keys.items() if self._claims.get(key) != name}
        with self._database.transaction():
            self._database.write("claims", [(encode_key(key), name) for key, name in new.items()])
        self._claims.update(new)

    def release(self, keys: Collection[ServiceKey]) -> None:
        """Release keys."""
        with self._database.transaction():
            for key in keys:
                self._database.delete("DELETE FROM claims WHERE key = ?", encode_key(key))
        for key in keys:
            self._claims.pop(key, None)

    def probe_marks(self) -> ProbeMarks:
        """Return the marks and source ports of probes."""
        return dict(self._probe_marks)

    def keep_probe_marks(self, marks: ProbeMarks) -> None:
        """Replace all marks and source ports; only differences are written."""
        known = self._probe_marks
        rows = [
            (encode_tunnel_path(path), encode_probe_mark(mark))
            for path, mark in marks.items()
            if known.get(path) != mark
        ]
        gone = [encode_tunnel_path(path) for path in known if path not in marks]
        with self._database.transaction():
            for path in gone:
                self._database.delete("DELETE FROM probe_marks WHERE path = ?", path)
            self._database.write("probe_marks", rows)
        self._probe_marks = dict(marks)

    def verdicts(self) -> Mapping[ProbeId, KeptVerdict]:
        """Return the verdicts on all targets."""
        return dict(self._verdicts)

    def keep_verdicts(self, changes: Mapping[ProbeId, KeptVerdict | None]) -> None:
        """Store changed verdicts; None deletes one."""
        with self._database.transaction():
            for probe, verdict in changes.items():
                if verdict is None:
                    self._database.delete(
                        "DELETE FROM verdicts WHERE probe = ?", encode_probe_id(probe)
                    )
                else:
                    row = (encode_probe_id(probe), encode_kept_verdict(verdict))
                    self._database.write("verdicts", [row])
        self._verdicts = changed_verdicts(self._verdicts, changes)

    def remembered(self) -> Contents | None:
        """Return the last applied farm."""
        return self._applied.contents

    def remember(self, contents: Contents) -> None:
        """Replace the last applied farm; only differences are written."""
        self._applied.replace(contents)

    def mode(self) -> Mode:
        """Return the mode."""
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Set the mode."""
        with self._database.transaction():
            self._database.write("meta", [("mode", encode_mode(mode))])
        self._mode = mode

    def check_writable(self) -> None:
        """Durably write something that changes nothing."""
        self._database.check_writable()

    def close(self) -> None:
        """Close the file."""
        self._database.close()
