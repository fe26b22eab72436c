"""Typed values in the JSON files of the state folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lvsctl.agent import files
from lvsctl.errors import InvalidInput, StoreCorrupt
from lvsctl.messages.converter import strict_converter, structured

T = TypeVar("T")


class StateFiles:
    """The files of a folder, one value in each.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._converter = strict_converter()
        self._converter.register_unstructure_hook(Path, str)
        self._converter.register_structure_hook(Path, lambda text, _: Path(text))

    def read(self, name: str, form: type[T]) -> T | None:
        """Return the value in a file; None if there is no such file.

        Raises:
            StoreCorrupt: The file does not hold such a value.
        """
        content = files.read(self.path / name)
        if content is None:
            return None
        return self.checked(name, lambda: structured(self._converter, content, form))

    def checked(self, name: str, read: Callable[[], T]) -> T:
        """Return what ``read`` makes of a file's content.

        Raises:
            StoreCorrupt: It refuses the content.
        """
        try:
            return read()
        except InvalidInput as error:
            raise StoreCorrupt(f"{self.path / name} is damaged: {error}") from error

    def write(self, name: str, value: object, *, durable: bool = True) -> None:
        """Replace the value in a file."""
        files.write(self.path / name, self._converter.unstructure(value), durable=durable)
