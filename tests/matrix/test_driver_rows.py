"""Drivers in a matrix: programs that speak the protocol of `streamkit fuzz --command`, and what they do instead."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote

import pytest

from streamkit.matrix import Choice, Client, Matrix, Plan, Row, drive, markdown

BOSTON = "openai_chat/boston_weather"
DRIVER = """
import json
import sys
import urllib.request

for line in sys.stdin:
    case = json.loads(line)
    request = urllib.request.Request(case["url"], json.dumps(case["request"]).encode())
    body = urllib.request.urlopen(request).read()
    if body.startswith(b"\\xef\\xbb\\xbf"):
        at_a_mark = sys.argv[1]
        if at_a_mark == "exits":
            sys.exit(3)
        if at_a_mark == "chats":
            print("a byte order mark!", flush=True)
            continue
        if at_a_mark == "raises":
            print(json.dumps({"id": case["id"], "error": {"type": "KeyError", "message": "choices"}}), flush=True)
            continue
    payloads = [json.loads(one[6:]) for one in body.decode("utf-8-sig").split("\\n") if one.startswith("data: {")]
    deltas = [choice["delta"] for payload in payloads for choice in payload["choices"]]
    calls = [call["function"] for delta in deltas for call in delta.get("tool_calls") or []]
    call = {key: "".join(one.get(key) or "" for one in calls) for key in ("name", "arguments")}
    print(json.dumps({"id": case["id"], "result": {"tool_calls": [call]}}), flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "driver.py").write_text(DRIVER, "utf-8")
    return tmp_path


def driven(folder: Path, *manners: str, only: tuple[str, ...] = ("bom", "comments"), jobs: int = 2) -> list[Row]:
    clients = tuple(
        Client(manner, command=f"{quote(sys.executable)} driver.py {manner}", cwd=folder, dialect="openai_chat")
        for manner in manners
    )
    plan = Plan("drivers", clients, (BOSTON,), max_single_cuts=4, time_limit=30)
    return drive(plan, Choice(mutations=only, jobs=jobs, workers=1))


def test_a_driver_has_a_row_as_a_parser_in_python_has(folder: Path) -> None:
    (row,) = driven(folder, "right", only=("bom", "comments", "truncate"))
    assert "" == row.problem
    assert ("same", "same") == (row.recorded().worst.outcome, row.cuts().worst.outcome)
    outcomes = {name: row.mutation(name).worst.outcome for name in row.asked}
    assert {"bom": "same", "comments": "same", "truncate": "silent difference"} == outcomes


def test_a_driver_that_ends_or_chats_where_an_answer_is_due_has_cells_that_say_so(folder: Path) -> None:
    rows = driven(folder, "exits", "chats", "raises")
    assert ["crash"] * 3 == [row.mutation("bom").worst.outcome for row in rows]
    assert ["exit", "garbage", "crash"] == [row.mutation("bom").worst.kind for row in rows]
    assert ["same"] * 3 == [row.mutation("comments").worst.outcome for row in rows]
    assert [""] * 3 == [row.problem for row in rows]
    assert [] == [row.name for row in rows if not row.mutation("bom").worst.token.endswith(":bom")]
    told = markdown(Matrix(Plan("drivers", tuple(row.client for row in rows)), rows, "2026-11-26"))
    assert "| `bom` | preserving | X | G | C |" in told
    assert f"To repeat one, in `{folder.as_posix()}`: `streamkit fuzz --command " in told


def test_a_driver_that_is_not_there_is_a_row_with_the_reason(folder: Path) -> None:
    clients = (Client("gone", command="./no-such-driver --option", cwd=folder, dialect="openai_chat"),)
    (row,) = drive(Plan("drivers", clients, (BOSTON,)), Choice(mutations=("bom",)))
    assert "no-such-driver" in row.problem
    assert [] == row.parts
