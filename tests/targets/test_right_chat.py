"""Right parsers of chat streams, in different styles: nothing is found in any of them."""

from __future__ import annotations

from typing import Any

import pytest

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
