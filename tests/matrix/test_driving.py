"""Driving: each client in a process of its own, and its end, however it comes, is a row with the reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit.errors import UsageError
from streamkit.fuzz import Progress
from streamkit.matrix import Choice, Client, Plan, Row, drive

BOSTON = "openai_chat/boston_weather"
MULTIBYTE = "openai_chat/synthetic_multibyte_text"
PARSERS = '''
import json
import os
import pathlib
import sys
import time

import streamkit

def right(chunks):
    return streamkit.accumulate(chunks)

def loud(chunks):
    os.write(1, b'{"part": "mine"}\\n')
    print("and this", sys.stdin.read())
    return streamkit.accumulate(chunks)

def dies_of_multibyte(chunks):
    body = b"".join(chunks)
    if "東".encode() in body:
        os.write(2, b"free(): invalid pointer")
        os._exit(9)
    return streamkit.accumulate([body])

def hangs_at_a_bom(chunks):
    """It swallows every interruption, so that only its process can be ended."""
    body = b"".join(chunks)
    while body.startswith(b"\\xef\\xbb\\xbf"):
        try:
            time.sleep(600)
        except BaseException:
            pass
    return streamkit.accumulate([body])

def where(chunks):
    pathlib.Path("was-here").write_text(os.getcwd())
    return streamkit.accumulate(chunks)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_parsers.py").write_text(PARSERS, "utf-8")
    return tmp_path


def plan_of(folder: Path, *names: str, **options: Any) -> Plan:
    clients = tuple(Client(name, target=f"own_parsers:{name}", cwd=folder, dialect="openai_chat") for name in names)
    return Plan("parsers", clients, (BOSTON, MULTIBYTE), max_single_cuts=8, **options)


def told(rows: list[Row]) -> Iterator[dict[str, Any]]:
    for row in rows:
        made = row.to_json()
        assert made.pop("seconds") > 0
        yield made


FEW = Choice(mutations=("bom", "comments", "truncate"))


def test_each_client_is_a_row_with_its_cells_over_all_its_transcripts(folder: Path) -> None:
    (row,) = drive(plan_of(folder, "right"), FEW)
    assert (["bom", "comments", "truncate"], "") == (row.asked, row.problem)
    assert [BOSTON, MULTIBYTE] == [part.transcript for part in row.parts]
    summed = row.mutation("truncate")
    assert ("typed error", {"typed error": 2}) == (summed.worst.outcome, summed.counts)
    assert {"same": 2} == row.recorded().counts == row.cuts().counts
    assert (1, 2) == (row.counts()["fault"]["typed error"], row.counts()["preserving"]["same"])
    assert row.cases == sum(part.cases for part in row.parts) > 0


def test_the_rows_are_the_same_for_any_number_at_a_time(folder: Path) -> None:
    plan = plan_of(folder, "right", "loud", "dies_of_multibyte")
    one, two = (
        list(told(drive(plan, Choice(mutations=("bom", "truncate"), transcripts=(BOSTON,), jobs=jobs))))
        for jobs in (1, 3)
    )
    assert one == two
    assert ["right", "loud", "dies_of_multibyte"] == [row["client"] for row in one]


def test_what_a_client_prints_or_reads_is_not_taken_for_what_is_told(folder: Path) -> None:
    right, loud = drive(plan_of(folder, "right", "loud"), Choice(mutations=("bom",), transcripts=(BOSTON,), jobs=2))
    assert "" == loud.problem
    assert right.mutation("bom").worst == loud.mutation("bom").worst


def test_a_client_that_ends_its_process_has_a_row_with_the_reason_and_what_came_before(folder: Path) -> None:
    dies, right = drive(plan_of(folder, "dies_of_multibyte", "right"), FEW)
    assert (
        f"its process ended with exit code 9 on {MULTIBYTE}: the rest was not tried; it had printed: "
        "free(): invalid pointer"
    ) == dies.problem
    assert {BOSTON: "same"} == {name: cell.outcome for name, cell in dies.mutation("bom").by_transcript.items()}
    assert ("", 2) == (right.problem, len(right.parts))


def test_a_client_that_hangs_for_good_is_given_up_with_its_process(folder: Path) -> None:
    (row,) = drive(plan_of(folder, "hangs_at_a_bom", time_limit=0.2), FEW)
    assert f"it hung for good on {BOSTON} and could not be stopped: the rest was not tried" == row.problem
    assert [BOSTON] == [part.transcript for part in row.parts]
    assert row.mutation("bom").worst.token.endswith(":bom")
    assert ("hang", "bom makes the target hang, and it cannot be stopped") == (
        row.mutation("bom").worst.outcome,
        row.mutation("bom").worst.message,
    )
    assert ("same", "not tried") == (row.cuts().worst.outcome, row.mutation("comments").worst.outcome)


def test_a_client_runs_in_its_own_folder_and_leaves_ours_as_it_is(folder: Path) -> None:
    before = Path.cwd()
    drive(plan_of(folder, "where"), Choice(mutations=("bom",), transcripts=(BOSTON,)))
    assert str(folder.resolve()) == str(Path((folder / "was-here").read_text()).resolve())
    assert before == Path.cwd()


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (Client("one", target="no_such_module:parse"), "cannot import 'no_such_module:parse': there is no module"),
        (Client("one", target="own_parsers:wright"), "own_parsers has no attribute 'wright'; did you mean right?"),
        (Client("one", target="own_parsers:right", cwd=Path("/no/such")), "cannot run in /no/such: No such file"),
        (Client("one", target="own_parsers:right", dialect="gemini"), "none of the transcripts is of its dialect"),
    ],
)
def test_a_client_that_cannot_start_has_a_row_with_the_reason(client: Client, reason: str, folder: Path) -> None:
    cwd = folder if client.cwd == Path() else client.cwd
    client = Client(client.name, target=client.target, cwd=cwd, dialect=client.dialect)
    (row,) = drive(Plan("one", (client,), (BOSTON,)), FEW)
    assert reason in row.problem
    assert ("not tried", 0) == (row.mutation("bom").worst.outcome, row.cases)


def test_a_transcript_that_is_not_there_is_said_before_anything_is_driven(folder: Path) -> None:
    with pytest.raises(UsageError, match="client right: no transcript named 'openai_chat/boston'; did you mean"):
        drive(plan_of(folder, "right"), Choice(transcripts=("openai_chat/boston",)))


def test_a_client_gets_what_is_of_its_dialect_unless_it_names_its_own(folder: Path) -> None:
    def client(name: str, dialect: str = "", *transcripts: str) -> Client:
        return Client(name, target="own_parsers:right", cwd=folder, dialect=dialect, transcripts=transcripts)

    listed = (BOSTON, "gemini/synthetic_text_and_calls")
    plan = Plan("three", (client("all"), client("chat", "openai_chat"), client("own", "gemini", BOSTON)), listed)
    rows = drive(plan, Choice(mutations=("comments",), jobs=2))
    assert [list(listed), [BOSTON], [BOSTON]] == [[part.transcript for part in row.parts] for row in rows]


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ("1.2.3", "1.2.3"),
        ("", ""),
        ((sys.executable, "-c", "print('4.5'); print('more')"), "4.5"),
        ((sys.executable, "-c", "raise SystemExit(3)"), "ended with exit code 3 and 0 bytes of output)"),
        (("no-such-program",), "(unknown: no-such-program: No such file or directory)"),
    ],
)
def test_a_version_is_a_text_or_the_first_line_that_a_command_prints(
    version: str | tuple[str, ...], shown: str, folder: Path
) -> None:
    client = Client("one", target="own_parsers:right", cwd=folder, version=version)
    (row,) = drive(Plan("one", (client,), (BOSTON,)), Choice(mutations=("bom",)))
    assert row.version.endswith(shown)
    assert "" == row.problem


def test_only_some_cells_are_made_where_classes_or_mutations_are_named() -> None:
    assert ["bom"] == Choice(mutations=("bom", "truncate"), classes=("preserving",)).asked()
    assert ["truncate"] == Choice(mutations=("truncate",)).asked()
    faults = Choice(classes=("fault",)).asked()
    assert "truncate" in faults
    assert "bom" not in faults
    with pytest.raises(UsageError, match="none of the mutations named is of the class fault"):
        Choice(mutations=("bom",), classes=("fault",)).asked()
    with pytest.raises(UsageError, match="no mutation named 'bomm'; did you mean 'bom'"):
        Choice(mutations=("bomm",)).asked()


def test_a_client_for_which_none_of_the_mutations_is_meant_gets_none(folder: Path) -> None:
    """A fault is not meant for what returns events."""
    events = Client("events", target="own_parsers:right", cwd=folder, returns="events")
    (row,) = drive(Plan("one", (events,), (BOSTON,), max_single_cuts=4), Choice(mutations=("truncate",)))
    assert ([], {}) == (row.asked, row.parts[0].mutations)
    assert "same" == row.cuts().worst.outcome


def test_a_mutation_of_a_dialect_that_no_transcript_speaks_is_inapplicable(folder: Path) -> None:
    client = Client("right", target="own_parsers:right", cwd=folder)
    choice = Choice(mutations=("gemini_cut", "collapse_index", "bom"))
    (row,) = drive(Plan("one", (client,), (BOSTON,), max_single_cuts=4), choice)
    assert "it knows gemini" == row.mutation("gemini_cut").worst.message
    assert ["inapplicable"] * 2 == [row.mutation(name).worst.outcome for name in ("gemini_cut", "collapse_index")]
    assert "same" == row.mutation("bom").worst.outcome


def test_a_listener_is_told_how_far_each_client_is_and_that_it_has_ended(folder: Path) -> None:
    heard: list[tuple[str, Progress | None]] = []
    lock = threading.Lock()

    def listen(name: str, progress: Progress | None) -> None:
        with lock:
            heard.append((name, progress))

    drive(plan_of(folder, "right"), FEW, listen)
    assert ("right", None) == heard[-1]
    assert {BOSTON, MULTIBYTE} == {progress.transcript for _, progress in heard if progress is not None}


def test_a_worker_whose_parent_is_gone_ends(folder: Path) -> None:
    """The parent drives a client that hangs, and is killed."""
    client = {"name": "one", "target": "own_parsers:stays", "cwd": str(folder)}
    with (folder / "own_parsers.py").open("a") as file:
        file.write("\ndef stays(chunks):\n    pathlib.Path('pid').write_text(str(os.getpid()))\n    time.sleep(600)\n")
    script = (
        "import json, sys\nfrom pathlib import Path\nfrom streamkit.matrix import Client, Plan, drive\n"
        "one = json.loads(sys.argv[1])\n"
        "client = Client(one['name'], target=one['target'], cwd=Path(one['cwd']), time_limit=500)\n"
        f"drive(Plan('one', (client,), ({BOSTON!r},)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    parent = subprocess.Popen([sys.executable, "-c", script, json.dumps(client)], env=environment)
    try:
        assert _becomes(lambda: (folder / "pid").is_file() and bool((folder / "pid").read_text()))
        worker = int((folder / "pid").read_text())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert _becomes(lambda: not _runs(worker)), "the worker outlived its parent"
    finally:
        parent.kill()
        parent.wait()


def _becomes(true: Any, seconds: float = 60) -> bool:
    """Poll a condition until it is true, or the time is over."""
    waited = threading.Event()
    for _ in range(int(seconds * 20)):
        if true():
            return True
        waited.wait(0.05)
    return False


def _runs(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    if state.parent.parent.is_dir() and not state.is_file():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return not state.is_file() or state.read_text().rpartition(")")[2].split()[0] != "Z"
