"""Answers that others recorded, as the first round of a conversation: their text is given, and nothing is made up."""

from __future__ import annotations

from typing import Any

import pytest
from skhelpers.corpus import needs_corpus, recordings

import streamkit
from streamkit.conversation import Backoff, Conversation
from streamkit.errors import ConversationError, DialectError, TooManyRoundsError
from streamkit.transcript import Transcript

QUESTION = {"role": "user", "content": "?"}


def taken(body: bytes, api: str) -> tuple[list[str], list[Any], Any, Exception | None]:
    """Return the pieces of an answer, the messages, the answer, and the error that it was, of one round."""
    transcript = Transcript(body, dialect=f"openai_{api}")
    messages: list[Any] = [QUESTION]
    conversation = Conversation(
        streamkit.replay.openai(transcript), "m", api=api, max_rounds=1, backoff=Backoff(retries=0)
    )
    answer, pieces = conversation.get_response(messages), []
    try:
        for piece in answer:
            pieces.append(piece)  # noqa: PERF402 - what came before an error counts too
    except (ConversationError, DialectError) as error:
        return pieces, messages, answer, error
    return pieces, messages, answer, None


@needs_corpus
@pytest.mark.parametrize(("api", "least"), [("chat", 390), ("responses", 140)])
def test_a_recorded_answer_gives_its_text_and_ends_as_our_reader_says(api: str, least: int) -> None:
    whole = 0
    for recording in recordings(family=api):
        try:
            expected = streamkit.accumulate([recording.body], dialect=f"openai_{api}")
        except DialectError:
            expected = None
        pieces, messages, answer, error = taken(recording.body, api)
        if expected is None:
            assert error is not None, recording.name
            continue
        assert (expected.content or "") == "".join(pieces), recording.name
        legacy = expected.choices[0].function_call if expected.choices else None
        if expected.tool_calls or legacy is not None:
            assert isinstance(error, ConversationError), recording.name
            assert [QUESTION] == messages, recording.name
        else:
            assert error is None, recording.name
            assert (expected.content or "") == answer.text, recording.name
            told = messages[-1].get("refusal") or messages[-1]["content"]
            assert (expected.content or answer.refusal or "") == told, recording.name
        whole += error is None or isinstance(error, TooManyRoundsError)
    assert whole >= least
