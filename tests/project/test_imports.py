"""What importing costs, counted in modules, and that what the package promises by name is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import streamkit
from streamkit import errors

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("click", "httpx", "httpx2", "hypothesis", "openai", "pydantic", "requests", "rich", "vcr", "yaml")


def loaded_by(statement: str) -> set[str]:
    """Return the modules that are loaded in a fresh process after a statement."""
    program = f"import sys\n{statement}\nprint(*sorted(sys.modules))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "streamkit"}


# -- cost


def test_importing_the_plugin_loads_pytest_and_at_most_three_modules_of_ours() -> None:
    found = loaded_by("import streamkit.pytest_plugin")
    assert {"pytest", "streamkit.pytest_plugin"} <= found
    assert len(ours(found)) <= 3
    assert [] == sorted(found.intersection(HEAVY))


def test_importing_streamkit_loads_nothing_else_of_ours() -> None:
    found = loaded_by("import streamkit")
    assert {"streamkit"} == ours(found)
    assert [] == sorted(found.intersection({*HEAVY, "pytest"}))


def test_the_library_of_cassettes_loads_yaml_and_no_client() -> None:
    found = loaded_by("import streamkit; streamkit.load('openai_chat/boston_weather')")
    assert ["yaml"] == sorted(found.intersection({*HEAVY, "pytest"}))


def test_replaying_in_chunks_needs_no_client_library() -> None:
    found = loaded_by("import streamkit.replay")
    assert [] == sorted(found.intersection({*HEAVY, "pytest"} - {"yaml"}))


def test_the_help_of_the_command_line_loads_no_client_and_no_fuzzing() -> None:
    found = loaded_by("import streamkit.cli")
    assert {"click", "rich"} == found.intersection({*HEAVY, "pytest"})
    assert "streamkit.fuzz" not in found


# -- names


def seen_by_type_checkers() -> dict[str, str]:
    """Return name and module of each import under TYPE_CHECKING in the front door."""
    tree = ast.parse(inspect.getsource(streamkit))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {
        alias.asname or alias.name: str(node.module)
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("name", streamkit.__all__)
def test_every_public_name_resolves_to_what_type_checkers_see(name: str) -> None:
    found = getattr(streamkit, name)
    if isinstance(found, ModuleType):
        assert f"streamkit.{name}" == found.__name__
    else:
        home = importlib.import_module(seen_by_type_checkers()[name])
        assert getattr(home, name) is found
        assert name in home.__all__


def test_type_checkers_see_all_public_names_and_no_other() -> None:
    assert {*streamkit.__all__, "__version__"} == {*seen_by_type_checkers(), "__version__"}


def test_dir_lists_the_public_names() -> None:
    assert {*streamkit.__all__, "__version__"} == set(dir(streamkit))
    assert len(streamkit.__all__) == len(set(streamkit.__all__))


def test_the_version_is_that_of_the_distribution() -> None:
    declared = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert declared is not None
    assert declared.group(1) == streamkit.__version__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'streamkit' has no attribute 'acumulate'"):
        _ = streamkit.acumulate  # type: ignore[attr-defined]  # which is the point


def test_every_module_lists_what_exists() -> None:
    """An entry of `__all__` that is not there breaks `from module import *`."""
    for module in everything():
        missing = [name for name in getattr(module, "__all__", []) if not hasattr(module, name)]
        assert [] == missing, module.__name__


# -- errors


def everything() -> list[ModuleType]:
    names = [one.name for one in pkgutil.walk_packages(streamkit.__path__, "streamkit.")]
    return [importlib.import_module(name) for name in names if name != "streamkit.__main__"]


def exceptions(module: ModuleType) -> set[str]:
    """Return the public exception classes that a module defines."""
    return {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, BaseException)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


def drawn(text: str) -> dict[str, str]:
    """Return name and base of each class in a tree drawn with `+-`; "" where none is given."""
    found: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = re.fullmatch(r"    ([ |]*\+- )?([A-Z]\w*)(?:\((\w+)\))?  +\S.*", line)
        if match is None:
            continue
        column = match.start(2)
        above = [(start, name) for start, name in above if start < column]
        found[match.group(2)] = match.group(3) or (above[-1][1] if above else "")
        above.append((column, match.group(2)))
    return found


def test_every_public_exception_is_in_errors_and_listed() -> None:
    assert set(errors.__all__) == exceptions(errors)
    others = {f"{module.__name__}.{name}" for module in everything() if module is not errors
              for name in exceptions(module)}  # fmt: skip
    assert set() == others


def test_the_tree_of_exceptions_is_as_drawn() -> None:
    tree = drawn(errors.__doc__ or "")
    assert set(errors.__all__) == set(tree)
    bases = {name: getattr(errors, name).__bases__[0].__name__ for name in tree}
    assert {name: base or "Exception" for name, base in tree.items()} == bases


def test_only_a_failure_of_the_code_under_test_is_an_assertion_error() -> None:
    assert ["OracleFailure"] == [name for name in errors.__all__ if issubclass(getattr(errors, name), AssertionError)]


def test_a_tree_is_read_as_it_is_drawn() -> None:
    tree = ["Text.", "", "    A         first", "    +- B      of A", "    |  +- C   of B", "    +- D      of A",
            "    E(Error)  alone", "", "    Not in it."]  # fmt: skip
    assert {"A": "", "B": "A", "C": "B", "D": "A", "E": "Error"} == drawn("\n".join(tree))
