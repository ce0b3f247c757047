"""Two-round conversations, however their bytes arrive: cut anywhere, broken by a mutation, or dropped and retried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from skhelpers.talking import Talk, cut, dropped, interactions

from streamkit.conversation import Backoff
from streamkit.errors import (
    AnswerChangedError,
    ConversationError,
    DialectError,
    RetriesExhaustedError,
    UnmatchedRequestError,
)
from streamkit.mutations.registry import Class, Edit, Inapplicable, mutations
from streamkit.mutations.stream import Stream
from streamkit.replay.delivery import Delivery
from streamkit.transcript import Ending, Transcript

NAMES = [
    "weather_in_boston",
    "synthetic_boston_weather_responses",
    "synthetic_count_string",
    "synthetic_count_string_legacy",
    "synthetic_count_string_responses",
    "synthetic_parallel_calls",
]
#: Of the single cuts of a body this many are tried, evenly spread: all of them are 50,518 conversations.
MOST_CUTS = 25

every_conversation = pytest.mark.parametrize("name", NAMES)
sync_and_async = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def talks(name: str, number: int = 0, *instead: Delivery | Exception) -> Talk:
    """Return a conversation, in which others are played before the recorded answer of one of its rounds."""
    return Talk(interactions(name), {number: list(instead)})


def facts(talk: Talk) -> object:
    """Return what must be the same however a conversation is delivered."""
    return talk.messages, talk.calls, talk.sent, talk.pieces, talk.answer.usage, talk.answer.text


def cuts(size: int, most: int) -> list[int]:
    """Return the places of single cuts, evenly spread."""
    places = range(1, size)
    return list(places) if len(places) <= most else [places[n * (size - 2) // (most - 1)] for n in range(most)]


def swept(name: str, *, is_async: bool, most: int) -> int:
    """Have a conversation under single cuts of each round's body, and return how many there were."""
    expected = facts(talks(name).run(is_async=is_async))
    tried = 0
    for number, one in enumerate(interactions(name)):
        body = one.transcript.body
        for place in cuts(len(body), most):
            talk = talks(name, number, cut(body, one.transcript, place))
            assert expected == facts(talk.run(is_async=is_async)), f"round {number + 1} cut at {place}"
            tried += 1
    return tried


@every_conversation
@sync_and_async
def test_a_conversation_is_the_one_that_was_recorded(name: str, is_async: bool) -> None:
    talk = talks(name).run(is_async=is_async)
    assert [talk.asked(number) for number in range(len(talk.rounds))] == talk.sent
    assert talk.expected() == talk.messages[:-1]
    assert {"role": "assistant", "content": talk.answer.text} == talk.messages[-1]
    assert talk.text.endswith(talk.answer.text)
    assert len(talk.answer.outcomes) == len(talk.calls) > 0


@every_conversation
@sync_and_async
def test_invariant_no_cut_of_a_body_changes_a_conversation(name: str, is_async: bool) -> None:
    assert 2 * MOST_CUTS == swept(name, is_async=is_async, most=MOST_CUTS)


@every_conversation
def test_invariant_a_body_that_comes_byte_by_byte_changes_nothing(name: str) -> None:
    transcripts = [one.transcript for one in interactions(name)]
    drip: dict[int, list[Delivery | Exception]] = {
        number: [cut(one.body, one, *range(1, len(one.body)))] for number, one in enumerate(transcripts)
    }
    assert facts(talks(name).run()) == facts(Talk(interactions(name), drip).run())


# -- mutations


def faults(transcript: Transcript) -> Iterator[tuple[str, Edit]]:
    """Yield the edits of the fault class that a transcript has a place for, up to four a mutation."""
    stream = Stream.of(transcript, transcript.dialect)
    for one in mutations(classes=[Class.FAULT], dialect=transcript.dialect):
        for numbers in one.variants(stream, 4):
            try:
                yield f"{one.name}{numbers}", one.apply(stream, numbers)
            except Inapplicable:
                continue


@every_conversation
@pytest.mark.parametrize("number", [0, 1], ids=["first round", "second round"])
@sync_and_async
def test_invariant_a_broken_stream_is_an_error_and_runs_nothing(name: str, number: int, is_async: bool) -> None:
    transcript = interactions(name)[number].transcript
    before = Talk(interactions(name)[:1]).messages if number == 0 else talks(name).expected()
    tried = 0
    for told, edit in faults(transcript):
        broken = cut(edit.stream.body(), transcript)
        talk = talks(name, number, broken)
        calls = [] if number == 0 else talks(name).run().calls
        try:
            talk.run(is_async=is_async, backoff=Backoff(retries=0))
        except (ConversationError, DialectError, UnmatchedRequestError):
            pass
        else:
            raise AssertionError(f"{told}: no error, and the answer {talk.answer.text!r}")
        told_of = [one for one in talk.answer.outcomes if not one.ok]
        if not told_of:  # else the model is told that it cannot be called so
            assert before == talk.messages, told
        assert calls == talk.calls, told
        tried += 1
    assert tried >= 8


@every_conversation
@pytest.mark.parametrize("number", [0, 1], ids=["first round", "second round"])
def test_invariant_a_stream_that_is_broken_once_and_may_pass_comes_to_the_same_end(name: str, number: int) -> None:
    """The retry is answered as it was recorded; what was given out before it broke is not given again."""
    transcript = interactions(name)[number].transcript
    expected = facts(talks(name).run())
    recovered = 0
    for told, edit in faults(transcript):
        broken = cut(edit.stream.body(), transcript)
        talk = talks(name, number, broken)
        try:
            talk.run()
        except (ConversationError, DialectError, UnmatchedRequestError):
            assert len(talk.calls) in (0, len(talks(name).run().calls) if number else 0), told
            continue
        if len(talk.sent) > len(talk.rounds):
            assert talk.answer.rounds[number].tries == 2
            del talk.sent[number]
            if talk.answer.outcomes and all(one.ok for one in talk.answer.outcomes):
                assert (expected[:3], talk.text) == (facts(talk)[:3], "".join(expected[3])), told  # type: ignore[index]
                recovered += 1
    assert recovered >= 2


# -- a connection that drops


def boundaries(body: bytes) -> list[int]:
    """Return the place behind each event, and 0."""
    places = [0]
    while (at := body.find(b"\n\n", places[-1])) >= 0:
        places.append(at + 2)
    return places


@every_conversation
@pytest.mark.parametrize("ending", [Ending.RESET, Ending.INCOMPLETE, Ending.TRUNCATED, Ending.TIMEOUT])
@pytest.mark.parametrize("number", [0, 1], ids=["first round", "second round"])
def test_invariant_a_connection_that_drops_behind_an_event_is_made_again_and_nothing_comes_twice(
    name: str, ending: Ending, number: int
) -> None:
    whole_talk = talks(name).run()
    transcript = interactions(name)[number].transcript
    places = boundaries(transcript.body)
    assert len(places) > 5
    for place in places:
        talk = talks(name, number, dropped(transcript, place, ending))
        talk.run(is_async=place % 2 == 1)  # each place with one client or the other
        again = len(talk.sent) > len(talk.rounds)
        assert again or place >= places[-4], "only an answer that was whole is taken"
        if again:
            assert talk.sent[number] == talk.sent.pop(number + 1)
            assert talk.clock.time() == 0.5
            assert facts(whole_talk) == facts(talk), f"dropped at {place}"
        else:  # it was whole but for its last events
            assert facts(whole_talk)[:2] == facts(talk)[:2]  # type: ignore[index]
        assert whole_talk.text == talk.text


@sync_and_async
def test_a_connection_that_drops_within_each_try_is_given_up_with_the_last_error(is_async: bool) -> None:
    transcript = interactions("synthetic_count_string")[1].transcript
    broken = [dropped(transcript, at) for at in (500, 700, 800)]
    talk = talks("synthetic_count_string", 1, *broken)
    with pytest.raises(RetriesExhaustedError, match="all 3 tries of the request failed: ReadError") as caught:
        talk.run(is_async=is_async)
    assert ("ReadError", 3) == (type(caught.value.last).__name__, caught.value.tries)
    assert caught.value.__cause__ is caught.value.last
    assert talk.expected() == talk.messages, "the first round is finished and stays"
    assert "Let me count. It has 9 characters" == talk.text
    assert 0.5 + 1.0 == talk.clock.time()
    assert 1 == len(talk.calls)


# -- a retry that answers otherwise


def changed(name: str) -> tuple[Transcript, Delivery]:
    transcript = interactions(name)[1].transcript
    other = transcript.body.replace(b"It", b"So: it")
    assert other != transcript.body
    return transcript, cut(other, transcript)


@sync_and_async
def test_an_answer_that_changes_on_a_retry_is_an_error(is_async: bool) -> None:
    transcript, other = changed("synthetic_count_string")
    broken = dropped(transcript, len(transcript.body) // 2)
    talk = talks("synthetic_count_string", 1, broken, other)
    with pytest.raises(AnswerChangedError, match="differs after 0 characters") as caught:
        talk.run(is_async=is_async)
    assert caught.value.given
    assert talk.text == "Let me count. " + caught.value.given
    assert talk.expected() == talk.messages


@sync_and_async
def test_with_on_restart_a_round_whose_answer_changes_begins_again(is_async: bool) -> None:
    transcript, other = changed("synthetic_count_string")
    broken = dropped(transcript, len(transcript.body) // 2)
    talk = talks("synthetic_count_string", 1, broken, other)
    talk.run(is_async=is_async, on_restart=lambda: talk.pieces.append("|"))
    assert "Let me count. It has 9|So: it has 9 characters." == talk.text
    assert "So: it has 9 characters." == talk.answer.text == talk.messages[-1]["content"]


@sync_and_async
def test_an_answer_that_is_shorter_on_a_retry_has_changed(is_async: bool) -> None:
    transcript = interactions("synthetic_count_string")[1].transcript
    broken = dropped(transcript, transcript.body.index(b'" characters"') + 60)
    body = transcript.body
    for piece, other in ((b'" has"', b'" has 9 ch"'), (b'" 9"', b'""'), (b'" characters"', b'""'), (b'"."', b'""')):
        assert piece in body
        body = body.replace(piece, other)
    shorter = cut(body, transcript)
    talk = talks("synthetic_count_string", 1, broken, shorter)
    with pytest.raises(AnswerChangedError):
        talk.run(is_async=is_async)


@sync_and_async
def test_a_connection_that_breaks_behind_the_finish_reason_takes_nothing_away_and_is_not_made_again(
    is_async: bool,
) -> None:
    name = "synthetic_count_string"
    expected = facts(talks(name).run(is_async=is_async))
    for number, one in enumerate(interactions(name)):
        at = one.transcript.body.index(b"data: [DONE]")
        talk = talks(name, number, dropped(one.transcript, at))
        assert expected == facts(talk.run(is_async=is_async))
