"""Dialects of other packages: found by entry point, loaded when asked for, and named where they are broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamkit.dialects.plugins import GROUP, load, names
from streamkit.errors import UsageError

TOY = """
from streamkit.dialects.openai_chat import Reader

class Toy:
    name = "toy"
    wire = "sse"

    def detect(self, transcript):
        return transcript.body.startswith(b"data: toy")

    def reader(self):
        return Reader()

def make():
    return Toy()

ready = Toy()

class NoReader:
    name = "toy"

    def detect(self, transcript):
        return False

class Nothing:
    pass

def fails():
    raise RuntimeError("no licence")

def leaves():
    raise SystemExit(3)
"""


class Packages:
    """Installs packages with entry points into a folder on the import path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, distribution: str, entries: str, source: str = TOY, module: str | None = None) -> None:
        """Install a distribution with these lines of entry points, and one module."""
        info = self.folder / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")
        (self.folder / f"{module or distribution}.py").write_text(source)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Packages(tmp_path)
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize("value", ["Toy", "make", "ready"])
def test_an_installed_dialect_is_loaded_by_its_name(packages: Packages, value: str) -> None:
    packages.add(f"toy_{value.lower()}", f"toy = toy_{value.lower()}:{value}")
    assert ["toy"] == names()
    loaded = load("toy")
    assert loaded is not None
    assert "toy" == loaded.name


def test_a_name_that_nobody_offers_gives_none(packages: Packages) -> None:
    packages.add("other_names", "toy = other_names:Toy")
    assert None is load("no_such_dialect")


def test_names_are_sorted_and_import_nothing(packages: Packages) -> None:
    packages.add("bomb_module", "zeta = bomb_module:Toy\nalpha = bomb_module:Toy", "raise RuntimeError('imported')")
    assert ["alpha", "zeta"] == names()
    assert "bomb_module" not in sys.modules


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("Missing", r"cannot be loaded: AttributeError"),
        ("fails", r"cannot be loaded: RuntimeError: no licence"),
        ("leaves", r"cannot be loaded: SystemExit: 3"),
        ("NoReader", r"is no dialect: NoReader has no method reader"),
        ("Nothing", r"is no dialect: Nothing has no method detect and no method reader"),
    ],
)
def test_a_broken_plugin_is_named_with_its_distribution(packages: Packages, entry: str, expected: str) -> None:
    module = f"broken_{entry.lower()}"
    packages.add(module, f"toy = {module}:{entry}")
    with pytest.raises(UsageError, match=rf"the dialect 'toy' of {module} \({module}:{entry}\) {expected}"):
        load("toy")


def test_a_plugin_whose_module_cannot_be_imported_keeps_the_cause(packages: Packages) -> None:
    packages.add("bomb_cause", "toy = bomb_cause:Toy", "raise RuntimeError('imported')")
    with pytest.raises(UsageError, match=r"of bomb_cause .* cannot be loaded: RuntimeError: imported") as caught:
        load("toy")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_dialect_must_have_the_name_of_its_entry_point(packages: Packages) -> None:
    packages.add("misnamed", "tox = misnamed:Toy")
    with pytest.raises(UsageError, match="its name is 'toy', and its entry point's is 'tox'"):
        load("tox")


def test_two_distributions_with_one_name_are_both_named(packages: Packages) -> None:
    packages.add("first_toy", "toy = first_toy:Toy")
    packages.add("second_toy", "toy = second_toy:Toy")
    assert ["toy"] == names()
    with pytest.raises(UsageError, match=r"first_toy \(first_toy:Toy\) and second_toy \(second_toy:Toy\); uninstall"):
        load("toy")


def test_importing_the_dialects_looks_for_no_plugin(packages: Packages) -> None:
    packages.add("bomb_import", "toy = bomb_import:Toy", "raise RuntimeError('imported')")
    program = (
        f"import sys; sys.path.insert(0, {str(packages.folder)!r}); import streamkit.dialects as d; "
        "d.get('openai_chat'); print('bomb_import' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "False" == done.stdout.strip()
