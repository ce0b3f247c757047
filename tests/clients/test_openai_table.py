"""The real openai client under the catalogue: its weak points are as they are written down, and so is the table."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clients import openai_client, openai_streams, openai_table, weak_points
from clients.openai_outcomes import column, in_one_chunk
from clients.weak_points import WEAK_POINTS, WeakPoint
from streamkit.case import Case, Token, mutated
from streamkit.errors import StreamkitError
from streamkit.fuzz import Options, fuzz
from streamkit.fuzz.runner import Runner
from streamkit.fuzz.targets import adapt
from streamkit.mutations.registry import Class, Step, get
from streamkit.wire.fragmentation import Fragmentation

FOLDER = Path(__file__).parent
README = (FOLDER.parents[1] / "README.md").read_text("utf-8")
#: Few, and of each class, so that a test can make the whole table.
FEW = ("bom", "comments", "opener_with_arguments", "collapse_index", "cut_in_arguments", "responses_error")


# -- weak points


def name_of(point: WeakPoint) -> str:
    return f"{point.target}-{point.step}"


@pytest.mark.parametrize("point", WEAK_POINTS, ids=name_of)
def test_a_weak_point_is_as_it_is_written_down(point: WeakPoint) -> None:
    """With another major version of the library the case must still run and give a verdict; which is not known."""
    now = point.now()
    assert Token.parse(now.token).digest
    version, known = weak_points.versions()
    if known:
        assert (point.outcome, point.error) == (now.outcome, now.error), f"{point.says}: openai {version}: {now.told}"
    else:
        assert now.outcome in ("same", "typed error", "error", "crash", "hang", "silent difference")


def test_what_is_refuted_goes_well_and_what_is_confirmed_does_not_unless_it_is_an_error_that_says_too_little() -> None:
    for point in WEAK_POINTS:
        well = point.outcome in ("same", "typed error")
        assert well or point.confirmed, point.says
        assert not well or not point.confirmed or point.error in ("RuntimeError", "JSONDecodeError"), point.says


def test_every_weak_point_names_reports_and_whose_it_is() -> None:
    for point in WEAK_POINTS:
        assert point.sources
        assert [] == [one for one in point.sources if not re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", one)]
        assert point.whose in ("library", "loop")
    assert len({(point.target, point.stream, point.step) for point in WEAK_POINTS}) == len(WEAK_POINTS)


@pytest.mark.parametrize("name", ["chat_helper", "responses_helper"])
def test_the_async_client_does_the_same_as_the_other(name: str) -> None:
    one, other = adapt(getattr(openai_client, name)), adapt(getattr(openai_client, f"async_{name}"))
    with Runner(one) as runner, Runner(other) as async_runner:
        for point in WEAK_POINTS:
            if point.target == name:
                case = in_one_chunk(openai_streams.by_name(point.stream), point.step)
                assert runner.run(case.chunks()).same_as(async_runner.run(case.chunks())), point.says


# -- the table


def test_no_cut_changes_what_the_helper_of_responses_gives() -> None:
    """So what the table shows is the mutations' doing; Chat Completions are cut in the tests of the campaign."""
    stream = openai_streams.by_name("openai_responses/made_refusal")
    options = Options(max_single_cuts=20, max_examples=3, mutations=False)
    assert [] == fuzz(openai_client.responses_helper, stream, options=options).findings


def test_the_documented_loop_is_wrong_as_recorded_where_arguments_come_at_once_or_choices_are_two() -> None:
    streams = [openai_streams.by_name(f"openai_chat/made_{name}") for name in ("whole_calls", "two_choices")]
    made = column(openai_client.chat_loop, streams, only=["comments"])
    assert {one.name for one in streams} == set(made.recorded)
    assert ({}, {"comments"}) == (made.cells, made.barred)
    assert {} == column(openai_client.chat_careful_loop, streams, only=["comments"]).recorded


def test_a_column_holds_the_worst_over_the_streams_with_a_token_that_repeats_it() -> None:
    streams = [openai_streams.by_name(f"openai_chat/{name}") for name in ("made_text", "boston_weather")]
    made = column(openai_client.chat_helper, streams, only=FEW)
    outcomes = {name: cell.outcome for name, cell in made.cells.items()}
    assert ("same", "same") == (outcomes.pop("comments"), outcomes.pop("opener_with_arguments"))
    assert {"bom": "silent difference", "cut_in_arguments": "silent difference"} == outcomes
    assert [] == [name for name, cell in made.cells.items() if (cell.outcome == "same") is bool(cell.token)]
    again = "\n".join(openai_table.replay(made.cells["cut_in_arguments"].token))
    assert "cut_in_arguments is not noticed" in again
    assert ["== chat_loop", "== chat_careful_loop", "== chat_helper"] == re.findall("^== .*$", again, re.MULTILINE)


def test_a_typed_error_has_a_token_though_it_is_no_finding() -> None:
    stream = openai_streams.by_name("openai_chat/boston_weather")
    cell = column(openai_client.chat_careful_loop, [stream], only=["cut_in_arguments"]).cells["cut_in_arguments"]
    assert ("typed error", "UnreadableError") == (cell.outcome, cell.error)
    assert "nothing is wrong" in list(openai_table.replay(cell.token))
    steps = (Step(get("cut_in_arguments")),)
    assert str(Case(stream, Fragmentation.per_event(mutated(stream, steps).body), steps).token) == cell.token


def test_a_token_of_another_stream_is_refused() -> None:
    with pytest.raises(StreamkitError, match="not made over 'other'"):
        list(openai_table.replay(f"sk1:other@000000000000:{Fragmentation.whole()}:bom"))


def test_the_command_writes_the_same_table_twice_and_counts_what_is_in_it(tmp_path: Path) -> None:
    def told(columns: Any) -> list[Any]:
        return [cell for one in columns for cell in one["mutations"].values() if cell["outcome"] != "same"]

    def made(name: str) -> str:
        options = [part for one in FEW for part in ("--only", one)]
        options += ["--stream", "openai_chat/made_logprobs"]
        command = [sys.executable, str(FOLDER / "openai_table.py"), "--json", str(tmp_path / name), *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
        assert done.stdout.startswith("# What the openai client does\n")
        assert "chat_helper: openai_chat/made_logprobs\n" in done.stderr
        return (tmp_path / name).read_text("utf-8")

    text = made("one.json")
    assert text == made("two.json")
    chat, responses = json.loads(text)["apis"].values()
    assert ["chat_loop", "chat_careful_loop", "chat_helper"] == [one["target"] for one in chat]
    assert {"openai_chat/made_logprobs"} == {cell["token"].split("@")[0][4:] for cell in told(chat)}
    assert [] == told(responses)
    for one in (*chat, *responses):
        assert len(one["mutations"]) == sum(sum(kinds.values()) for kinds in one["counts"].values())


# -- the README


def test_the_readme_shows_the_summary_of_every_target_and_class() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (preserving|dialect|fault) \| \d+ \| \d+ \| \d+ \| \d+ \|$", README, re.MULTILINE
    )
    targets = [target.__name__ for target in (*openai_client.CHAT, *openai_client.RESPONSES)]
    assert [(name, str(kind)) for name in targets for kind in Class] == rows


def test_the_version_and_the_counts_of_weak_points_in_the_readme_are_those_that_the_tests_hold() -> None:
    confirmed = sum(point.confirmed for point in WEAK_POINTS)
    assert f"openai {weak_points.FOUND_WITH[1]}" in README
    assert f"{confirmed} are confirmed and {len(WEAK_POINTS) - confirmed} refuted" in README
