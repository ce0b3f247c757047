"""Cells: what a campaign's report says of each mutation, with a token that repeats it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from targets import chat_right

from streamkit.errors import TruncatedStreamError
from streamkit.examples import broken_parser
from streamkit.fuzz import Options, fuzz
from streamkit.matrix.cells import BAD, Cell, Part, part_of, worse
from streamkit.mutations.registry import Class, get
from streamkit.replay.clients import openai_stream

BOSTON = "openai_chat/boston_weather"
MULTIBYTE = "openai_chat/synthetic_multibyte_text"
FEW = ("bom", "comments", "collapse_index", "cut_in_arguments", "truncate")


def made(target: Callable[..., Any], transcript: str = BOSTON, *only: str, **options: Any) -> Part:
    chosen = Options(max_examples=0, max_single_cuts=40, combine=False, only=only or FEW, **options)
    return part_of(fuzz(target, [transcript], options=chosen))


def test_a_right_parser_gives_the_same_and_typed_errors_alone() -> None:
    part = made(chat_right.buffering)
    assert ("same", "same") == (part.recorded.outcome, part.cuts.outcome)
    outcomes = {name: cell.outcome for name, cell in part.mutations.items()}
    assert {"bom": "same", "comments": "same"} == {
        name: outcome for name, outcome in outcomes.items() if get(name).kind is Class.PRESERVING
    }
    assert ("typed error", "typed error") == (outcomes["cut_in_arguments"], outcomes["truncate"])
    assert (40, 3219) == part.cuts_tried
    assert ["collapse_index"] == list(part.inapplicable)


@pytest.mark.parametrize("target", [broken_parser, openai_stream])
def test_each_cell_that_is_not_the_same_has_a_token_that_repeats_it(target: Callable[..., Any]) -> None:
    part = made(target)
    tokens = {name: cell.token for name, cell in part.mutations.items() if cell.outcome != "same"}
    assert {"cut_in_arguments"} <= set(tokens)
    for name, token in tokens.items():
        report = fuzz(target, replay=token)
        assert (part.mutations[name].outcome in BAD) == bool(report.findings), name


def test_a_typed_error_has_the_token_of_the_case_that_raised_it() -> None:
    cell = made(chat_right.buffering).mutations["cut_in_arguments"]
    assert ("typed error", "EarlyEndError") == (cell.outcome, cell.error)
    assert cell.token.endswith(":cut_in_arguments")
    assert [] == fuzz(chat_right.buffering, replay=cell.token).findings


def test_a_silent_difference_says_in_short_what_is_expected_and_what_came() -> None:
    cell = made(openai_stream).mutations["bom"]
    assert "silent difference" == cell.outcome
    assert cell.message == "bom silently changes the result" or cell.message.startswith("bom changes the result")
    assert "" not in (cell.at, cell.expected, cell.actual)
    assert cell.expected != cell.actual


def test_what_a_cut_breaks_is_in_a_cell_of_its_own() -> None:
    part = made(broken_parser, MULTIBYTE)
    assert ("same", "silent difference") == (part.recorded.outcome, part.cuts.outcome)
    assert part.cuts.token.endswith(":364")
    assert "content" == part.cuts.at


def test_a_client_that_is_wrong_as_recorded_has_no_cell_of_a_mutation() -> None:
    def wrong(chunks: Iterable[bytes]) -> dict[str, Any]:
        return {**chat_right.buffering(chunks), "content": "always this"}

    part = made(wrong)
    assert "silent difference" == part.recorded.outcome
    assert {} == part.mutations
    assert "bom" in part.barred


def test_a_client_that_cannot_read_the_transcript_at_all_is_wrong_as_recorded() -> None:
    def slips(_: Iterable[bytes]) -> None:
        raise KeyError("choices")

    part = made(slips)
    assert ("crash", "KeyError") == (part.recorded.outcome, part.recorded.error)
    assert ("not tried", {}) == (part.cuts.outcome, part.mutations)


def test_an_expected_error_where_a_result_is_due_is_no_typed_error() -> None:
    def refuses(chunks: Iterable[bytes]) -> Any:
        body = b"".join(chunks)
        if body.startswith(b"\xef\xbb\xbf"):
            raise TruncatedStreamError("a byte order mark")
        return chat_right.buffering([body])

    assert "error" == made(refuses).mutations["bom"].outcome


def test_a_part_passes_through_json() -> None:
    part = made(broken_parser)
    assert part == Part.of_json(json.loads(json.dumps(part.to_json())))


def test_the_worse_of_two_cells_is_the_first_of_equals() -> None:
    one, other = Cell("hang", message="one"), Cell("hang", message="other")
    assert one is worse(one, other)
    assert one is worse(Cell("crash"), one)
    assert one is worse(one, Cell("inapplicable"))
    assert "inapplicable" == worse(Cell("not tried"), Cell("inapplicable")).outcome
