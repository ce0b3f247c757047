"""A project whose tests record: written into a folder, run by pytest in this process, and looked at afterwards."""

from __future__ import annotations

import re

# Loaded here once: a run of pytest inside this process forgets the modules that it loads, and the next loads them anew.
import httpcore  # noqa: F401
import httpx  # noqa: F401
import openai  # noqa: F401
import pytest
import vcr.patch  # noqa: F401

import streamkit.pytest_cassettes
import streamkit.replay.use  # noqa: F401
from skhelpers.server import body

__all__ = ["ASYNC", "BODY", "ONCE", "PRELUDE", "SIMPLE", "again", "cassettes", "questions", "run"]

BODY = body()
PRELUDE = """
import os
import httpx
import pytest

URL = os.environ["UPSTREAM"]

def ask(question="hello"):
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{URL}/v1/chat", json={"q": question}).content
"""


def run(project: pytest.Pytester, source: str, *arguments: str, name: str = "test_it") -> pytest.RunResult:
    """Run a test file in this process. Schemathesis stays out: it wraps collection, and has a test of its own."""
    path = project.path / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PRELUDE + source, "utf-8")
    return again(project, *arguments)


def again(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the project's tests once more."""
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments)


def cassettes(project: pytest.Pytester, folder: str = "cassettes") -> list[str]:
    """Return the paths of all files below the cassette folder."""
    root = project.path / folder
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def questions(project: pytest.Pytester, name: str) -> list[str]:
    """Return what was asked in the interactions of a cassette, in order."""
    raw = (project.path / "cassettes" / f"{name}.yaml").read_text("utf-8")
    return re.findall(r'"q":\s*"([^"]*)"', raw)


ONCE = "--streamkit-record=once"
SIMPLE = """
@pytest.mark.streamkit
def test_a():
    assert b"[DONE]" in ask()
"""
ASYNC = """
async def aask(question="hello"):
    async with httpx.AsyncClient(trust_env=False) as client:
        async with client.stream("POST", f"{URL}/v1/chat", json={"q": question}) as response:
            return b"".join([part async for part in response.aiter_raw()])
"""
