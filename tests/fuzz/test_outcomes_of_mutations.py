"""What a campaign keeps of each mutation: its worst outcome, and the case that led to it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest
from targets import chat_right

from streamkit.fuzz import Options, fuzz
from streamkit.fuzz.runner import Runner
from streamkit.fuzz.targets import adapt

BOSTON = "openai_chat/boston_weather"


def options(*only: str, **more: Any) -> Options:
    return Options(max_examples=0, max_single_cuts=0, only=only, **more)


def test_the_case_of_the_worst_outcome_is_kept_typed_errors_too() -> None:
    (coverage,) = fuzz(chat_right.buffering, BOSTON, options=options("bom", "truncate")).coverage
    assert {"bom": "same", "truncate": "typed error"} == coverage.outcomes
    assert ["truncate"] == list(coverage.examples)
    case, outcome = coverage.examples["truncate"]
    with Runner(adapt(chat_right.buffering)) as runner:
        assert outcome == runner.run(case.chunks())


def test_what_is_only_slow_is_no_hang() -> None:
    """Deliveries are first given less time than the limit; what is not back by then is waited for once more."""

    def slow(chunks: Iterable[bytes]) -> dict[str, Any]:
        body = b"".join(chunks)
        if body.startswith(b"\xef\xbb\xbf"):
            time.sleep(2.2)
        return chat_right.buffering([body])

    report = fuzz(slow, BOSTON, options=options("bom", time_limit=60.0))
    assert [] == report.findings
    assert {"bom": "same"} == report.coverage[0].outcomes


def test_no_more_variants_of_a_mutation_are_applied_than_was_asked_for() -> None:
    def applied(**more: Any) -> int:
        return fuzz(chat_right.buffering, BOSTON, options=options("truncate", **more)).coverage[0].mutations["truncate"]

    assert [10, 1, 3] == [applied(), applied(max_variants=1), applied(max_variants=3)]


def test_several_mutations_at_once_are_applied_unless_that_is_declined() -> None:
    def phases(*, combine: bool) -> set[str]:
        chosen = Options(max_examples=2, max_single_cuts=0, only=("bom", "comments"), combine=combine)
        return set(fuzz(chat_right.buffering, BOSTON, options=chosen).coverage[0].phases)

    assert {"pairs of mutations", "mixes"} == phases(combine=True) - phases(combine=False)
    assert set() == phases(combine=False) - phases(combine=True)


class AfterTheEndError(Exception):
    pass


def strict_after_done(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Refuse what follows [DONE], but for another."""
    body = b"".join(chunks)
    rest = body.partition(b"data: [DONE]\n\n")[2].replace(b"data: [DONE]\n\n", b"")
    if rest.strip():
        raise AfterTheEndError(repr(rest))
    return chat_right.buffering([body])


def refuses_a_second_done(chunks: Iterable[bytes]) -> dict[str, Any]:
    body = b"".join(chunks)
    if body.count(b"data: [DONE]\n") > 1:
        raise AfterTheEndError("[DONE]")
    return chat_right.buffering([body])


@pytest.mark.parametrize(("target", "found"), [(strict_after_done, []), (refuses_a_second_done, ["junk_after_done"])])
def test_what_no_server_sends_after_done_may_be_refused_and_a_second_done_may_not(
    target: Any, found: list[str]
) -> None:
    only = options("junk_after_done")
    report = fuzz(target, BOSTON, options=only)
    assert found == [finding.case.steps[0].mutation.name for finding in report.findings]
