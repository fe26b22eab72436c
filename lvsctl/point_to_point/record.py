"""The record of the tunnel ends made on this host, as a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lvsctl.agent import files
from lvsctl.errors import InvalidInput, StoreCorrupt
from lvsctl.messages.converter import strict_converter, structured
from lvsctl.messages.model import TunnelEnd


@dataclass(frozen=True, slots=True)
class RecordedEnd:
    """An end, and the kernel and network namespace it was made in (host.boot)."""

    boot: str
    end: TunnelEnd

    def is_of_earlier_boot(self, boot: str) -> bool:
        """Tell whether the host rebooted since, so that the end no longer exists."""
        return _kernel(self.boot) != _kernel(boot)


@dataclass(frozen=True, slots=True)
class _Document:
    ends: tuple[RecordedEnd, ...]


class EndsFile:
    """A file of ends. Each network namespace sees only its own.

    Args:
        path: Its path; the folder must exist.
        boot: Identity of this kernel and network namespace.
    """

    def __init__(self, path: Path, boot: str) -> None:
        self.path = path
        self._boot = boot

    def present(self) -> tuple[TunnelEnd, ...]:
        """Return the ends that may exist in this namespace.

        Raises:
            StoreCorrupt: The file is damaged.
            StoreTooNew: A newer lvsctl wrote it.
            StoreError: The disk refuses.
        """
        return tuple(kept.end for kept in self._read() if kept.boot == self._boot)

    def lost(self) -> tuple[TunnelEnd, ...]:
        """Return the ends that a reboot removed."""
        return tuple(kept.end for kept in self._read() if kept.is_of_earlier_boot(self._boot))

    def save(self, ends: Sequence[TunnelEnd]) -> None:
        """Replace the ends of this namespace."""
        names = {end.link for end in ends}
        others = (
            kept
            for kept in self._read()
            if kept.boot != self._boot
            and not (kept.is_of_earlier_boot(self._boot) and kept.end.link in names)
        )
        self._write((*others, *(RecordedEnd(self._boot, end) for end in ends)))

    def delete_lost(self, link: str | None = None) -> None:
        """Delete the record of ends that a reboot removed: one, or with None all of them."""
        kept = self._read()
        rest = tuple(
            each
            for each in kept
            if not (each.is_of_earlier_boot(self._boot) and link in (None, each.end.link))
        )
        if rest != kept:
            self._write(rest)

    def reset(self) -> None:
        """Preserve a damaged file as ``*.damaged`` and start with an empty one."""
        files.preserve_damaged(self.path)
        self._write(())

    def _write(self, kept: tuple[RecordedEnd, ...]) -> None:
        files.write(self.path, _CONVERTER.unstructure(_Document(kept)))

    def _read(self) -> tuple[RecordedEnd, ...]:
        content = files.read(self.path)
        if content is None:
            return ()
        try:
            return structured(_CONVERTER, content, _Document).ends
        except InvalidInput as error:
            raise StoreCorrupt(f"{self.path} is damaged: {error}") from error


def _kernel(boot: str) -> str:
    return boot.partition("/")[0]


_CONVERTER = strict_converter()
