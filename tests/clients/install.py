"""Make the environments of the client drivers: a virtual environment or an npm folder each, with pinned packages.

    python tests/clients/install.py [NAME...]

makes those that are named, or all of `pins.toml`, under `.environments/`. One that is there with the same pins is left
as it is; one with other pins is made anew. Packages come from wherever pip and npm are set up to take them from.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENTS", "PINS", "Environment", "InstallError", "is_made", "main", "make", "plan", "read_pins"]

_HERE = Path(__file__).resolve().parent
PINS = _HERE / "pins.toml"
ENVIRONMENTS = _HERE / ".environments"

#: Written last, so that a folder without it, or with other pins in it, is half made or out of date.
_MADE = "made-with.json"

#: A module inside an npm folder, which imports as a program in that folder would: a bare name is looked up from where
#: the importing file lies, and the drivers lie elsewhere.
_LOADER = "export const load = (name) => import(name);\n"


class InstallError(Exception):
    """An environment could not be made."""


@dataclass(frozen=True)
class Environment:
    """One environment.

    Attributes:
        name: its name, which is its folder's too.
        kind: "python" or "node".
        packages: requirements, in pip's or npm's spelling.
    """

    name: str
    kind: str
    packages: tuple[str, ...]

    @property
    def made_with(self) -> dict[str, object]:
        """What the environment is made with; another interpreter's version makes another environment."""
        made: dict[str, object] = {"kind": self.kind, "packages": list(self.packages)}
        if self.kind == "python":
            made["python"] = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return made


def read_pins(file: Path = PINS) -> dict[str, Environment]:
    """Return the environments by name.

    Args:
        file: a file such as `pins.toml`.

    Returns:
        The environments, in the file's order.
    """
    read = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: Environment(name, one["kind"], tuple(one["packages"])) for name, one in read.items()}


def is_made(environment: Environment, root: Path = ENVIRONMENTS) -> bool:
    """Return whether an environment is there, with the pins that it is to have.

    Args:
        environment: the environment.
        root: the folder of all environments.

    Returns:
        Whether it needs no work.
    """
    marker = root / environment.name / _MADE
    return marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == environment.made_with


def plan(environment: Environment, root: Path = ENVIRONMENTS) -> list[list[str]]:
    """Return the commands that make an environment, to be run in its folder.

    Args:
        environment: the environment.
        root: the folder of all environments.

    Returns:
        The commands, in order.
    """
    folder = root / environment.name
    if environment.kind == "python":
        quiet = ["--quiet", "--quiet", "--disable-pip-version-check", "--no-input"]
        return [
            [sys.executable, "-m", "venv", "--without-pip", str(folder)],
            [sys.executable, "-m", "pip", "--python", str(folder), "install", *quiet, *environment.packages],
        ]
    # Without a lock file, which would hold addresses; scripts of packages are not needed, so they are not run.
    flags = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return [["npm", "install", "--save-exact", *flags, *environment.packages]]


def make(environment: Environment, root: Path = ENVIRONMENTS) -> None:
    """Make an environment anew.

    Args:
        environment: the environment.
        root: the folder of all environments.

    Raises:
        InstallError: if a command is missing or fails; what was made so far is left to be looked at.
    """
    folder = root / environment.name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    if environment.kind == "node":
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
        (folder / "load.mjs").write_text(_LOADER, encoding="utf-8")
    for command in plan(environment, root):
        try:
            done = subprocess.run(command, cwd=folder, check=False, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise InstallError(f"{environment.name}: there is no command {command[0]!r} on the PATH") from None
        if done.returncode:
            raise InstallError(f"{environment.name}: exit status {done.returncode} of: {' '.join(command)}")
    (folder / _MADE).write_text(json.dumps(environment.made_with, indent=1) + "\n", encoding="utf-8")


def _size(folder: Path) -> int:
    files = (Path(path, name) for path, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files)


def main(arguments: list[str] | None = None) -> int:
    """Make the environments that are named.

    Args:
        arguments: names; None for those of the command line, an empty list for all.

    Returns:
        The exit status: 1 if any could not be made, after trying the others.
    """
    pins = read_pins()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=f"all of them by default: {', '.join(pins)}")
    names = parser.parse_args(arguments).name or list(pins)
    if unknown := [name for name in names if name not in pins]:
        parser.error(f"no environment is called {', '.join(unknown)}; there are {', '.join(pins)}")
    failed = []
    for number, name in enumerate(names, 1):
        environment = pins[name]
        head = f"[{number}/{len(names)}] {name}"
        if is_made(environment):
            print(f"{head}: there already", flush=True)
            continue
        print(f"{head}: {', '.join(environment.packages)} ...", flush=True)
        start = time.monotonic()
        try:
            make(environment)
        except InstallError as error:
            print(f"{head}: FAILED: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        megabytes = _size(ENVIRONMENTS / name) / 1e6
        print(f"{head}: made in {time.monotonic() - start:.0f} s, {megabytes:.0f} MB", flush=True)
    if failed:
        print(f"not made: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
