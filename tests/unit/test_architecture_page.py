"""docs/architecture.md names what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`([^`\s]+)`", (ROOT / "docs/architecture.md").read_text())))
FILES = [path for room in ("lvsctl", "api", "tests") for path in (ROOT / room).rglob("*.py")]
CODE = "\n".join(path.read_text() for path in FILES if "tests" not in path.parts)


@pytest.mark.parametrize("name", [name for name in NAMED if name.endswith(".py")])
def test_a_module_is_there(name: str) -> None:
    """By its path, or by the end of it."""
    assert any(str(path).endswith(f"/{name}") for path in FILES)


@pytest.mark.parametrize("name", [name for name in NAMED if name.endswith("/")])
def test_a_room_is_there(name: str) -> None:
    """Below lvsctl, or beside it."""
    rooms = (ROOT, ROOT / "lvsctl", ROOT / "lvsctl/director")
    assert any((room / name).is_dir() for room in rooms)


@pytest.mark.parametrize("name", [name for name in NAMED if re.fullmatch(r"[A-Z]\w+\.\w+", name)])
def test_a_method_is_there(name: str) -> None:
    """Of a class of that name."""
    owner, method = name.split(".")
    body = re.search(rf"^class {owner}\b.*?(?=^class |\Z)", CODE, re.DOTALL | re.MULTILINE)
    assert body
    assert re.search(rf"    (async )?def {method}\(", body[0])
