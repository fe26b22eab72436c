"""Every code has words, is used, is unique and documented; what makes one gives its parameters."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deploy.reasons import DOCUMENT, document, example
from lvsctl.reasons.catalogue import KINDS, SUBJECTS, kinds_of
from lvsctl.reasons.reason import Audience, ReasonKind
from lvsctl.reasons.templates import field_names

ROOT = Path(__file__).parents[3]
SOURCES = [path for room in ("lvsctl", "api") for path in sorted((ROOT / room).rglob("*.py"))]
DEFINITIONS = ROOT / "lvsctl" / "reasons"

NAMES: Mapping[str, ReasonKind] = {
    f"{module.__name__}.{name}": kind
    for module in SUBJECTS
    for name, kind in kinds_of(module).items()
}


def test_codes_are_unique_and_written_alike() -> None:
    """A code is what programs hold on to."""
    codes = Counter(kind.code for module in SUBJECTS for kind in kinds_of(module).values())
    assert [] == [code for code, times in codes.items() if times > 1]
    assert len(KINDS) == sum(codes.values())
    for code in codes:
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", code), code


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_code_has_words_a_meaning_and_a_cure(kind: ReasonKind) -> None:
    """For both audiences, with every parameter in them."""
    reason = example(kind)
    for audience in Audience:
        words = reason.words(audience)
        assert words
        assert not re.search(r"[{}]|\[\[|\]\]", words), words
    assert kind.meaning.endswith(".")
    assert kind.cure.endswith((".", "`", "."))


def test_they_are_documented() -> None:
    """By ``python -m deploy.reasons``."""
    assert document() == DOCUMENT.read_text()


class _Uses(ast.NodeVisitor):
    """Finds where a module names reasons, and with which parameters it makes them."""

    def __init__(self, tree: ast.Module) -> None:
        self.named: set[str] = set()
        self.made: list[tuple[str, frozenset[str], int]] = []
        self._modules: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self.visit(tree)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for each in node.names:
            known_as = each.asname or each.name
            if node.module == "lvsctl.reasons":
                self._modules[known_as] = f"lvsctl.reasons.{each.name}"
            elif (node.module or "").startswith("lvsctl.reasons."):
                self._names[known_as] = f"{node.module}.{each.name}"

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        if name := self._name_of(node):
            self.named.add(name)

    def visit_Name(self, node: ast.Name) -> None:
        if name := self._name_of(node):
            self.named.add(name)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name = self._name_of(node.func)
        if name and all(keyword.arg for keyword in node.keywords):
            given = frozenset(str(keyword.arg) for keyword in node.keywords)
            self.made.append((name, given, node.lineno))

    def _name_of(self, node: ast.expr) -> str | None:
        found = None
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = self._modules.get(node.value.id)
            found = f"{module}.{node.attr}" if module else None
        elif isinstance(node, ast.Name):
            found = self._names.get(node.id)
        return found if found in NAMES else None


def uses() -> Iterator[tuple[Path, _Uses]]:
    """Yield what each module outside the catalogue does with reasons."""
    for path in SOURCES:
        if DEFINITIONS not in path.parents:
            yield path, _Uses(ast.parse(path.read_text()))


def test_every_code_is_used() -> None:
    """A code that nothing gives is one that somebody waits for in vain."""
    lists = {f"lvsctl.reasons.requests.{name}" for name in kinds_of_requests()}
    named = {name for _, use in uses() for name in use.named}
    general = {"lvsctl.reasons.general.RECORDED"}  # what is read, never given
    assert set() == NAMES.keys() - named - lists - general


def kinds_of_requests() -> Iterator[str]:
    """Yield the names of what is given by the code of a problem type."""
    from api.problems import TYPES  # noqa: F401, PLC0415 - the types are made there
    from lvsctl.reasons import requests  # noqa: PLC0415

    for name, kind in kinds_of(requests).items():
        if kind.code in requests.REQUEST_REFUSED:
            yield name


def test_whoever_gives_a_reason_gives_exactly_its_parameters() -> None:
    """Else its words could not be made, when somebody asks for them."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name} takes {sorted(expected)}, got {sorted(given)}"
        for path, use in uses()
        for name, given, line in use.made
        if (expected := field_names(NAMES[name].template) - {"subject"}) != given
    ]
    assert [] == wrong
