"""Right parsers of chat streams, in different styles: nothing is found in any of them."""

from __future__ import annotations

from typing import Any

import pytest

import streamkit
from streamkit.cassettes import bundled
from streamkit.fuzz import Options

from . import chat_right
from .chat_parser import ChatParser
from .planting import assert_right

#: Small, and between them every mutation of chat has something to do but the legacy form of a call.
SMALL = (
    "openai_chat/synthetic_reasoning_with_ids",
    "openai_chat/synthetic_text_then_calls",
    "openai_chat/synthetic_two_choices_logprobs",
)
ALL = Options(dialects=True, faults=True)
DIALECTS = Options(dialects=True)
PRESERVING = Options()
EVENTS = Options(returns="events")


@pytest.mark.parametrize(
    ("target", "options"),
    [
        (ChatParser, ALL),
        (chat_right.buffering, ALL),
        (chat_right.Push, ALL),
        (chat_right.pipeline, ALL),
        (chat_right.asynchronous, ALL),
        (chat_right.models, ALL),
        (chat_right.parsed_arguments, ALL),
        (chat_right.payloads, DIALECTS),
        (chat_right.docs_loop, PRESERVING),
        (chat_right.events, EVENTS),
        (chat_right.PushEvents, EVENTS),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_right_parser_passes_in_the_classes_that_it_claims(target: Any, options: Options) -> None:
    report = assert_right(target, SMALL, options)
    assert 3 == len(report.coverage)
    assert all(coverage.swept == coverage.sweepable > 0 for coverage in report.coverage)
    assert all(coverage.mutations for coverage in report.coverage)


@pytest.mark.parametrize("target", [ChatParser, chat_right.buffering], ids=lambda target: target.__name__)
def test_a_right_parser_passes_on_every_bundled_chat_transcript_in_all_classes(target: Any) -> None:
    names = [one.name for one in bundled() if one.dialect == "openai_chat"]
    report = assert_right(target, names, ALL)
    assert names == [coverage.transcript for coverage in report.coverage]


@pytest.mark.parametrize("target", [ChatParser, chat_right.buffering], ids=lambda one: one.__name__)
def test_a_right_parser_passes_on_what_servers_sent_in_all_classes(target: Any) -> None:
    names = [one.name for one in streamkit.library(dialect="openai_chat") if one.name.startswith("recorded/")]
    options = Options(max_examples=0, max_single_cuts=8, dialects=True, faults=True)
    report = assert_right(target, names, options)
    assert names == [coverage.transcript for coverage in report.coverage]


def test_a_parser_that_refuses_what_the_server_did_not_finish_is_right_and_the_report_says_that_it_does() -> None:
    names = ["recorded/llama_cpp_python/forced_call_cut_by_length", "recorded/transformers_serve/text_cut_by_length"]
    report = assert_right(chat_right.buffering, names, ALL)
    notes = [[note for note in coverage.notes if "raises" in note] for coverage in report.coverage]
    assert [
        [
            "the target raises BrokenCallError on the recorded delivery, where of the call of 'weather', "
            "its arguments are not JSON: Expecting ':' delimiter: line 1 column 6 (char 5)"
        ],
        [],
    ] == notes
