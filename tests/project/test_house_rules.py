"""The house rules that a machine can hold us to."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "streamkit").rglob("*.py"))
TESTS = [  # not what is installed in a folder with a dot, such as the environments of clients
    ROOT / "conftest.py",
    *(path for path in sorted((ROOT / "tests").rglob("*.py")) if "/." not in path.relative_to(ROOT).as_posix()),
]
MOST_LINES = 400

every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())


def undocumented(tree: ast.Module) -> list[str]:
    """Return the module and the public functions, classes and methods that have no docstring.

    Magic methods are described by the language, overloads by what they overload, and a name with an underscore is
    nobody else's.
    """
    found = [] if ast.get_docstring(tree) else ["the module"]

    def look(body: list[ast.stmt], inside: str) -> None:
        for node in body:
            if isinstance(node, ast.If):
                look([*node.body, *node.orelse], inside)
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            overload = "overload" in (ast.unparse(one) for one in node.decorator_list)
            if not ast.get_docstring(node) and not overload:
                found.append(inside + node.name)
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{inside}{node.name}.")

    look(tree.body, "")
    return found


def autouse_fixtures(tree: ast.Module) -> list[str]:
    """Return the functions with a decorator that says autouse=True, or anything else that may be true."""
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        for keyword in decorator.keywords
        if keyword.arg == "autouse" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    ]


@every_module
def test_a_module_is_short_enough_to_read(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= MOST_LINES, f"{path.name} has {lines} lines: what in it is a subject of its own?"


@every_module
def test_everything_public_says_what_it_is_for(path: Path) -> None:
    assert [] == undocumented(ast.parse(path.read_text("utf-8")))


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"common_utils", "helper", "helpers", "misc", "util", "utils"}
    assert [] == [path for path in [*MODULES, *TESTS] if {path.stem, path.parent.name} & drawers]


def test_no_fixture_acts_on_tests_that_did_not_ask_for_it() -> None:
    found = {path.name: autouse_fixtures(ast.parse(path.read_text("utf-8"))) for path in [*MODULES, *TESTS]}
    assert {} == {name: fixtures for name, fixtures in found.items() if fixtures}


# -- what looks for them


def test_a_missing_docstring_is_found_wherever_it_is_missing() -> None:
    text = '''
if True:
    def one(): ...
class Two:
    """Doc."""
    async def three(self): ...
    def _four(self): ...
    def __five__(self): ...
def six():
    """Doc."""
    def seven(): ...
class _Eight:
    def nine(self): ...
@overload
def ten(): ...
'''
    assert ["the module", "one", "Two.three"] == undocumented(ast.parse(text))


def test_an_autouse_fixture_is_found() -> None:
    text = "@pytest.fixture(autouse=True)\ndef one(): ...\n@pytest.fixture(autouse=False)\ndef two(): ...\n"
    assert ["one"] == autouse_fixtures(ast.parse(text))
