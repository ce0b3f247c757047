"""Sessions of pytest in a project of a test: how they are run, and what streamkit says at their end."""

from __future__ import annotations

# Loaded here once: a run of pytest inside this process forgets the modules that it loads, and the next loads them anew.
import httpcore  # noqa: F401
import httpx  # noqa: F401
import pytest
import vcr.patch  # noqa: F401

import streamkit.pytest_cassettes
import streamkit.replay.use  # noqa: F401
from skhelpers.server import body

BODY = body()
PRELUDE = """
import os
import httpx
import pytest

URL = os.environ["UPSTREAM"]

def ask(*questions):
    with httpx.Client(trust_env=False) as client:
        for question in questions or ("hello",):
            client.post(f"{URL}/v1/chat", json={"q": question})
"""
ONCE = "--streamkit-record=once"
STRICT = "--streamkit-strict"
EVERYWHERE = pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["in one process", "in workers"])


def write(project: pytest.Pytester, source: str, name: str = "test_it") -> None:
    path = project.path / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PRELUDE + source, "utf-8")


def session(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the project's tests: in this process, or in workers. Schemathesis wraps collection and stays out."""
    start = project.runpytest_subprocess if "-n" in arguments else project.runpytest_inprocess
    return start("-p", "no:schemathesis", *arguments)


def said(result: pytest.RunResult) -> list[str]:
    """Return the lines of streamkit's section, without its title; none if there is no section."""
    lines = result.outlines
    starts = [n for n, line in enumerate(lines) if line.strip("=") == " streamkit "]
    if not starts:
        return []
    assert 1 == len(starts), "the section is printed once"
    rest = lines[starts[0] + 1 :]
    end = next(
        (n for n, line in enumerate(rest) if line.startswith("==") or (" in " in line and " passed" in line)), len(rest)
    )
    return sorted(rest[:end])


def fresh(project: pytest.Pytester, source: str, name: str = "test_it") -> None:
    """Write a test file and record its cassettes."""
    write(project, source, name)
    assert 0 == session(project, ONCE).ret


SIMPLE = """
@pytest.mark.streamkit
def test_a():
    ask()
"""
