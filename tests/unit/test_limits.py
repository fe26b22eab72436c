"""Modules stay short, and classes with behaviour stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(ROOT)
    for package in ("lvsctl", "api", "deploy")
    for path in (ROOT / package).rglob("*.py")
)
MAX_LINES = 400
MAX_PUBLIC_METHODS = 15
MAX_ARGUMENTS = 7


def test_no_module_is_too_long() -> None:
    """A longer one holds two things."""
    lines = {path: (ROOT / path).read_text().count("\n") for path in MODULES}
    assert {} == {path: count for path, count in lines.items() if count > MAX_LINES}


def test_no_class_has_too_many_public_methods() -> None:
    """Properties count, as they are part of what a reader has to know."""
    counts = {
        (path, each.name): len(_public_methods(each)) for path in MODULES for each in _classes(path)
    }
    assert {} == {name: count for name, count in counts.items() if count > MAX_PUBLIC_METHODS}


def test_no_class_has_too_many_constructor_arguments() -> None:
    """A class that takes more holds several things."""
    found = {
        each.name
        for path in MODULES
        for each in _classes(path)
        if _constructor_arguments(each) > MAX_ARGUMENTS
    }
    assert set() == found


CLASSES = [
    ("class A:\n    def __init__(self, a, /, b, *c, d=1, **e): ...\n    def f(self): ...", 5, 1),
    ("class A:\n    @property\n    def f(self): ...\n    async def g(self): ...", 0, 2),
    ("@dataclass\nclass A:\n    a: int\n    b: int = field(init=False)\n    C: ClassVar = 1", 1, 0),
    ("@dataclass(frozen=True, slots=True)\nclass A:\n    a: int\n    b: int", 0, 0),
    ("class A(Base):\n    a: int", 0, 0),
]


@pytest.mark.parametrize(("source", "arguments", "methods"), CLASSES)
def test_arguments_and_methods_are_counted(source: str, arguments: int, methods: int) -> None:
    """Arguments of every kind; fields of a dataclass that its constructor takes."""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    assert (arguments, methods) == (_constructor_arguments(node), len(_public_methods(node)))


def _classes(path: Path) -> Iterator[ast.ClassDef]:
    tree = ast.parse((ROOT / path).read_text())
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _methods(node: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


def _public_methods(node: ast.ClassDef) -> set[str]:
    return {each.name for each in _methods(node) if not each.name.startswith("_")}


def _constructor_arguments(node: ast.ClassDef) -> int:
    """Count them; 0 for frozen values, which are data without behaviour to divide."""
    decorators = [ast.unparse(each) for each in node.decorator_list]
    if any("dataclass" in each for each in decorators):
        return 0 if any("frozen=True" in each for each in decorators) else _fields(node)
    for method in _methods(node):
        if method.name == "__init__":
            taken = method.args
            variadic = [each for each in (taken.vararg, taken.kwarg) if each]
            named = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs]
            return len(named) - 1 + len(variadic)
    return 0


def _fields(node: ast.ClassDef) -> int:
    return sum(
        isinstance(each, ast.AnnAssign)
        and "ClassVar" not in ast.unparse(each.annotation)
        and "init=False" not in ast.unparse(each)
        for each in node.body
    )
