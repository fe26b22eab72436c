"""The ends that were made on this host, as they are kept on the disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lvsctl.agent import files
from lvsctl.errors import InvalidInput, StoreCorrupt
from lvsctl.messages.converter import strict_converter, structured
from lvsctl.messages.model import TunnelEnd


@dataclass(frozen=True, slots=True)
class KeptEnd:
    """An end, and in which kernel and network namespace it was made (host.boot)."""

    boot: str
    end: TunnelEnd

    def is_of_earlier_boot(self, boot: str) -> bool:
        """Tell whether the host was restarted since, so that nothing of it is there."""
        return _kernel(self.boot) != _kernel(boot)


@dataclass(frozen=True, slots=True)
class _Document:
    ends: tuple[KeptEnd, ...]


class EndsFile:
    """A file with ends. Each network namespace has its own in it, and sees no others.

    Args:
        path: Where it is; its folder must be there.
        boot: Which kernel and network namespace this is.
    """

    def __init__(self, path: Path, boot: str) -> None:
        self.path = path
        self._boot = boot

    def present(self) -> tuple[TunnelEnd, ...]:
        """Return what may have been made in this namespace.

        Raises:
            StoreCorrupt: The file is damaged.
            StoreTooNew: A newer lvsctl wrote it.
            StoreError: The disk refuses.
        """
        return tuple(kept.end for kept in self._read() if kept.boot == self._boot)

    def lost(self) -> tuple[TunnelEnd, ...]:
        """Return what went with a restart of the host."""
        return tuple(kept.end for kept in self._read() if kept.is_of_earlier_boot(self._boot))

    def keep(self, ends: Sequence[TunnelEnd]) -> None:
        """Replace what is kept of this namespace."""
        names = {end.link for end in ends}
        others = (
            kept
            for kept in self._read()
            if kept.boot != self._boot
            and not (kept.is_of_earlier_boot(self._boot) and kept.end.link in names)
        )
        self._write((*others, *(KeptEnd(self._boot, end) for end in ends)))

    def forget_lost(self, link: str | None = None) -> None:
        """Forget what went with a restart: one end, or with None all of them."""
        kept = self._read()
        rest = tuple(
            each
            for each in kept
            if not (each.is_of_earlier_boot(self._boot) and link in (None, each.end.link))
        )
        if rest != kept:
            self._write(rest)

    def start_over(self) -> None:
        """Put a damaged file aside."""
        files.keep_damaged(self.path)
        self._write(())

    def _write(self, kept: tuple[KeptEnd, ...]) -> None:
        files.write(self.path, _CONVERTER.unstructure(_Document(kept)))

    def _read(self) -> tuple[KeptEnd, ...]:
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
