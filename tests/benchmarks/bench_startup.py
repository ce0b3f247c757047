"""Start-up: what the pytest plugin adds to every test run, beside its peers; and what the command line needs.

Each figure is of fresh processes, the subjects in turns. Of a plugin it is the time that its import takes once pytest
is loaded, told by the process itself; of the command line the time from start to end, beside a Python that does
nothing. All modules come from bytecode, as in any run but the first: it is kept in a folder of its own, since some
environments keep none for what is not installed.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from measure import Table

#: By name, the module that pytest loads for a plugin, and the package that it is of.
PLUGINS = {
    "streamkit": ("streamkit.pytest_plugin", "streamkit"),
    "pytest-recording": ("pytest_recording.plugin", "pytest_recording"),
    "pytest-httpx": ("pytest_httpx", "pytest_httpx"),
}
#: By name, the arguments of Python.
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "streamkit --version": ("-m", "streamkit", "--version"),
    "streamkit --help": ("-m", "streamkit", "--help"),
}
_IMPORT = """
import sys, time
import pytest
before, began = len(sys.modules), time.perf_counter()
import {module}
print(time.perf_counter() - began, len(sys.modules) - before)
"""


def imported(module: str, bytecode: str) -> tuple[float, int]:
    """Import a module in a fresh process that has loaded pytest; return the seconds and how many modules came.

    Args:
        module: its name.
        bytecode: the folder for bytecode.
    """
    seconds, modules = _run(("-c", _IMPORT.format(module=module)), bytecode).split()
    return float(seconds), int(modules)


def commanded(arguments: tuple[str, ...], bytecode: str) -> float:
    """Return the seconds of a fresh Python with some arguments, from start to end."""
    began = time.perf_counter()
    _run(arguments, bytecode)
    return time.perf_counter() - began


def _run(arguments: tuple[str, ...], bytecode: str) -> str:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment
    )  # fmt: skip
    return done.stdout


def _in_turns(subjects: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median of what each subject returns, asked in turns; the first time fills caches and is left out."""
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name in subjects if number % 2 == 0 else reversed([*subjects]):
            figure = subjects[name]()
            if number:
                found[name].append(figure)
    return {name: statistics.median(figures) for name, figures in found.items()}


def tables(rounds: int) -> list[Table]:
    """Measure both; `rounds` fresh processes for each subject."""
    with tempfile.TemporaryDirectory() as bytecode:
        return [_plugins(rounds, bytecode), _commands(rounds, bytecode)]


def _plugins(rounds: int, bytecode: str) -> Table:
    table = Table("Import of a pytest plugin, once pytest is loaded", ("ms", "modules"))
    modules: dict[str, int] = {}
    subjects: dict[str, Callable[[], float]] = {}
    for name, (module, package) in PLUGINS.items():
        if importlib.util.find_spec(package) is None:
            table.notes.append(f"{name} is not installed: it is missing here")
            table.rows[name] = (None, None)
            continue

        def once(name: str = name, module: str = module) -> float:
            seconds, modules[name] = imported(module, bytecode)
            return seconds

        subjects[name] = once
    for name, seconds in _in_turns(subjects, rounds).items():
        table.rows[name] = (1000 * seconds, modules[name])
    ours = table.rows["streamkit"][0]
    for name, (milliseconds, _) in table.rows.items():
        if name != "streamkit" and milliseconds and ours:
            table.ratios[f"streamkit / {name}"] = ours / milliseconds
    return table


def _commands(rounds: int, bytecode: str) -> Table:
    table = Table("A command from start to end", ("ms", "ms above Python's own"))
    subjects = {
        name: lambda arguments=arguments: commanded(arguments, bytecode) for name, arguments in COMMANDS.items()
    }
    found = _in_turns(subjects, rounds)
    least = found["python -c pass"]
    for name, seconds in found.items():
        table.rows[name] = (1000 * seconds, 1000 * (seconds - least))
        if name != "python -c pass":
            table.ratios[f"{name} / python -c pass"] = seconds / least
    table.notes.append(f"{Path(sys.executable).name} {sys.version.split()[0]}")
    return table
