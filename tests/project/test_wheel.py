"""Another project uses streamkit from the installed wheel alone: plugin, fixtures, cassettes, fuzzing and proof."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import streamkit

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "tests" / "wheel_project"


def wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the project's files, as an installer would, and return its path."""
    copy = folder / "source"
    for name in ("streamkit", "cassettes"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(folder), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_a_project_that_has_only_the_wheel_passes(tmp_path: Path) -> None:
    site = tmp_path / "wheel_site"
    with zipfile.ZipFile(wheel(tmp_path)) as built:
        built.extractall(site)
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    # Isolated from this checkout: neither its folder nor the path file of an editable installation is on the path.
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]; sys.path.append(sys.argv[3]); sys.argv = ['pytest', '-q'];"
        "import pytest; sys.exit(pytest.main(['-q', '-rA']))"
    )
    paths = [str(site), str(project), sysconfig.get_paths()["purelib"]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "STREAMKIT"))}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, *paths],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout + done.stderr
    calls = streamkit.library(server="llama-server", feature="tool_calls", dialect="openai_chat")
    assert len(calls) > 3
    assert f"{11 + len(calls)} passed" in done.stdout
    for one in calls:
        assert f"::test_what_a_server_sent_is_read_by_the_client_too[{one.name}]" in done.stdout
