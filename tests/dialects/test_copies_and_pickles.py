"""Readers in the middle of a stream: their copies go on by themselves, and the same bytes give the same pickle."""

from __future__ import annotations

import copy
import pickle
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.corpus import needs_corpus, recordings
from skhelpers.full_reading import facts, mixed, told

from streamkit import dialects
from streamkit.cassettes import bundled
from streamkit.dialects.text import Text
from streamkit.errors import StreamkitError
from streamkit.transcript import Transcript

TRANSCRIPTS = list(bundled())


def fed(reader: Any, body: bytes, cuts: list[int]) -> Any:
    """Feed a body that is cut at these places, as far as it goes; return the reader."""
    places = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    for start, end in pairwise(places):
        try:
            reader.feed(body[start:end])
        except StreamkitError:
            break
    return reader


def outcome(reader: Any, rest: bytes) -> object:
    try:
        reader.feed(rest)
        reader.close()
        return reader.result()
    except StreamkitError as error:
        return told(error)


def changed(transcript: Transcript, drawn: random.Random) -> bytes:
    """Return a body with a random damage, or with none."""
    body = transcript.body
    what = drawn.randrange(4)
    if what == 0 and transcript.dialect != "bedrock_converse":
        return mixed(body, drawn)
    place = drawn.randrange(len(body))
    if what == 1:
        return body[:place] + bytes([drawn.randrange(256)]) + body[place + 1 :]
    return body[:place] if what == 2 else body


cut_places = st.lists(st.integers(0, 3000), max_size=6)


@given(st.sampled_from(TRANSCRIPTS), st.randoms(use_true_random=False), cut_places, cut_places)
@settings(max_examples=400, deadline=None)
def test_the_same_bytes_give_the_same_pickle(
    transcript: Transcript, drawn: random.Random, cuts: list[int], others: list[int]
) -> None:
    body = changed(transcript, drawn)
    dialect = dialects.get(transcript.dialect or "")
    one, other = fed(dialect.reader(), body, cuts), fed(dialect.reader(), body, others)
    assert pickle.dumps(one, 5) == pickle.dumps(other, 5)


@given(st.sampled_from(TRANSCRIPTS), st.randoms(use_true_random=False), cut_places, st.integers(0, 3000))
@settings(max_examples=400, deadline=None)
def test_a_copy_goes_on_by_itself(transcript: Transcript, drawn: random.Random, cuts: list[int], place: int) -> None:
    body = changed(transcript, drawn)
    dialect = dialects.get(transcript.dialect or "")
    original = fed(dialect.reader(), body[:place], cuts)
    before, known = pickle.dumps(original, 5), original.snapshot()
    copied = original.copy()
    assert before == pickle.dumps(copied, 5)
    ends = [outcome(copied, body[place:]), outcome(copied.copy(), b"")]
    assert (before, known) == (pickle.dumps(original, 5), original.snapshot())
    again = original.copy()
    wanted = outcome(fed(dialect.reader(), body[:place], []), body[place:])
    assert wanted == outcome(original, body[place:]) == ends[0]
    assert before == pickle.dumps(again, 5)
    assert wanted == outcome(again, body[place:])


@given(st.sampled_from(TRANSCRIPTS), st.randoms(use_true_random=False), st.integers(0, 3000))
@settings(max_examples=300, deadline=None)
def test_a_pickle_read_again_goes_on_like_the_original(
    transcript: Transcript, drawn: random.Random, place: int
) -> None:
    body = changed(transcript, drawn)
    original = fed(dialects.get(transcript.dialect or "").reader(), body[:place], [])
    restored = pickle.loads(pickle.dumps(original, 5))  # noqa: S301 - just written
    deep = copy.deepcopy(original)
    assert original.snapshot() == restored.snapshot() == deep.snapshot()
    assert outcome(original, body[place:]) == outcome(restored, body[place:]) == outcome(deep, body[place:])


def test_a_copy_does_not_take_what_the_original_binds() -> None:
    """Bindings lead to the texts of the one that made them."""
    transcript = next(one for one in TRANSCRIPTS if one.name == "openai_chat/boston_weather")
    body = transcript.body
    middle = body.index(b"data: ", body.index(b"data: ", 2000) + 1)
    original: Any = dialects.get("openai_chat").reader()
    original._accumulator._envelopes._patience = 0
    original.feed(body[:middle])
    assert original._held._takers
    copied = original.copy()
    assert copied._held._envelopes is original._held._envelopes
    copied.feed(body[middle:])
    assert copied._held._envelopes._uses > 0
    deep = copy.deepcopy(original)
    deep.feed(body[middle:])
    assert facts(deep) == facts(copied) != facts(original)


def everything(value: Any, seen: dict[int, Any]) -> dict[int, Any]:
    """Return all that can be changed in what a reader holds, by id; what is kept until then has an id of its own."""
    if isinstance(value, dict | list) or (hasattr(value, "__dict__") and not isinstance(value, type | Exception)):
        if id(value) not in seen:
            seen[id(value)] = value
            inner = value if isinstance(value, dict | list) else vars(value)
            for one in inner.values() if isinstance(inner, dict) else inner:
                everything(one, seen)
    elif isinstance(value, Text):
        seen[id(value)] = value
    return seen


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda one: one.name)
def test_a_copy_of_an_accumulator_shares_nothing_that_can_be_changed(transcript: Transcript) -> None:
    reader: Any = dialects.get(transcript.dialect or "").reader()
    for start in range(0, len(transcript.body), 100):
        reader.feed(transcript.body[start : start + 100])
        one = {**vars(reader._accumulator), "_envelopes": None, "_takers": None}
        other = {**vars(reader._accumulator.copy()), "_envelopes": None, "_takers": None}
        assert not everything(one, {}).keys() & everything(other, {}).keys()


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda one: one.name)
def test_what_was_learnt_is_no_part_of_the_state(transcript: Transcript) -> None:
    quick: Any = dialects.get(transcript.dialect or "").reader()
    if getattr(quick._accumulator, "_envelopes", None) is not None:
        quick._accumulator._envelopes._patience = 0
    slow: Any = dialects.get(transcript.dialect or "").reader()
    if getattr(slow._accumulator, "_envelopes", None) is not None:
        slow._accumulator._envelopes = None
    for value in range(0, len(transcript.body), 50):
        chunk = transcript.body[value : value + 50]
        quick.feed(chunk)
        slow.feed(chunk)
        assert pickle.dumps(slow, 5) == pickle.dumps(quick, 5)


@needs_corpus
def test_recordings_give_the_same_pickles_whatever_the_chunks() -> None:
    drawn = random.Random(7)
    families = {
        "chat": "openai_chat", "responses": "openai_responses", "messages": "anthropic_messages", "gemini": "gemini",
        "completions": "openai_completions", "cohere.v2": "cohere_v2",
    }  # fmt: skip
    seen = set()
    for recording in recordings(".sse"):
        if recording.family not in families or len(recording.body) > 60_000:
            continue
        seen.add(recording.family)
        dialect = dialects.get(families[recording.family])
        body = recording.body[: drawn.randrange(len(recording.body) + 1)]
        cuts = [drawn.randrange(len(recording.body)) for _ in range(9)]
        one, other = fed(dialect.reader(), body, cuts), fed(dialect.reader(), body, [])
        assert pickle.dumps(one, 5) == pickle.dumps(other, 5), recording.name
        assert pickle.dumps(one, 5) == pickle.dumps(one.copy(), 5), recording.name
    assert seen == set(families)


# -- texts


@given(st.lists(st.text(st.characters(codec=None, exclude_categories=()), max_size=3), max_size=6), st.integers(0, 6))
def test_a_text_is_the_same_whenever_it_is_asked_for(pieces: list[str], when: int) -> None:
    asked, left = Text(), Text()
    for number, piece in enumerate(pieces):
        asked.add(piece)
        left.add(piece)
        if number == when:
            assert len(str(asked)) <= len(asked)
            asked.adder()("x")
            left.adder()("x")
    assert (left.value, len(left)) == (asked.value, len(asked))
    assert pickle.dumps(left, 5) == pickle.dumps(asked, 5)
    assert (left.value, len(left)) == (left.copy().value, len(left.copy()))


def test_a_copy_of_a_text_that_was_never_sent_was_never_sent() -> None:
    assert Text().copy().value is None
    assert pickle.loads(pickle.dumps(Text(), 5)).value is None  # noqa: S301 - just written
