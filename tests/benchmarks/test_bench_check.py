"""The benchmark of `check`: its clocks lose nothing, and its subjects agree."""

from __future__ import annotations

import pytest
from bench_check import Clocks, bare, clocked, openai_stream, reader, tables

from streamkit.cassettes import load
from streamkit.fuzz import Options, fuzz

FEW = Options(
    max_examples=3, max_single_cuts=20, only=("bom", "comments"), combine=False, max_variants=1
)  # fmt: skip


def test_a_clock_stops_while_what_was_begun_inside_is_under_way() -> None:
    clocks = Clocks()
    inner = clocks.around("inner", lambda: dict(clocks.seconds))
    outer = clocks.around("outer", lambda: (inner(), dict(clocks.seconds)))
    before, after = outer()
    assert ["outer"] == list(before)
    assert before["outer"] == after["outer"]
    assert 0 <= after["inner"] <= clocks.seconds["inner"]


def test_a_clocked_campaign_is_the_campaign_and_all_its_parts_are_clocked() -> None:
    report, seconds = clocked(reader, FEW)
    plain = fuzz(reader, "openai_chat/boston_weather", options=FEW)
    assert (plain.cases, []) == (report.cases, report.findings)
    assert plain.coverage[0].phases == report.coverage[0].phases
    assert {"target", "hypothesis", "other", "prelude", "single cuts", "drawn", "mutated"} == set(seconds)
    assert all(value > 0 for value in seconds.values())


def test_the_bare_loop_makes_as_many_deliveries_as_it_is_asked_for() -> None:
    assert bare(reader, load("openai_chat/boston_weather").body, 7) == 7


def test_the_openai_library_reads_what_our_reader_reads() -> None:
    pytest.importorskip("openai")
    body = load("openai_chat/boston_weather").body
    found, completion = openai_stream()(iter([body])), reader(iter([body]))
    assert [(call.id, call.name, call.arguments) for call in completion.tool_calls] == [
        (call["id"], call["name"], call["arguments"]) for call in found["tool_calls"]
    ]
    assert (completion.content or "", completion.finish_reason) == (found["content"], found["finish_reason"])


def test_every_parser_has_a_row_in_every_table() -> None:
    speed, shares, own = tables(1, FEW, 5, "openai_chat/synthetic_reasoning_with_ids")
    names = list(speed.rows)
    assert names[:2] == ["streamkit's reader", "a loop of 40 lines"]
    for table in (shares, own):
        assert [name for one in names for name in (one, f"{one} with dialects and faults")] == list(table.rows)
    for figures in shares.rows.values():
        assert sum(figure or 0.0 for figure in figures) == pytest.approx(100)
