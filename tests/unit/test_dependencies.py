"""Dependencies go one way: the rules in pyproject.toml hold, and can break."""

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest
from importlinter.cli import EXIT_STATUS_ERROR, EXIT_STATUS_SUCCESS, lint_imports

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
CONTRACTS: list[dict[str, Any]] = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"][
    "contracts"
]


def test_the_code_keeps_to_the_rules() -> None:
    """Every one, over every module."""
    assert EXIT_STATUS_SUCCESS == lint_imports(config_filename=str(PYPROJECT), no_cache=True)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_every_module_of_a_rule_exists(contract: dict[str, Any]) -> None:
    """A rule about a module that was renamed would forbid nothing."""
    for module in contract.get("source_modules", []) + contract.get("forbidden_modules", []):
        assert importlib.util.find_spec(module), module


def test_a_broken_rule_is_found(tmp_path: Path) -> None:
    """A module that imports what it must not is named."""
    config = tmp_path / "importlinter.toml"
    config.write_text(
        """
        [tool.importlinter]
        root_packages = ["lvsctl", "api"]

        [[tool.importlinter.contracts]]
        name = "what the plan needs"
        type = "forbidden"
        source_modules = ["lvsctl.farm.compile"]
        forbidden_modules = ["lvsctl.farm.model"]
        """
    )
    assert EXIT_STATUS_ERROR == lint_imports(config_filename=str(config), no_cache=True)


def test_every_rule_has_its_reason() -> None:
    """In a comment above its name."""
    lines = PYPROJECT.read_text().splitlines()
    heads = [n for n, line in enumerate(lines) if line == "[[tool.importlinter.contracts]]"]
    assert len(CONTRACTS) == len(heads)
    assert all(lines[head + 1].startswith("# ") for head in heads)
