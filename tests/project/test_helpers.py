"""The helpers of the tests: what they deliver, what they find, and the source of the bundled cassettes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers import bundled, corpus
from skhelpers.delivery import always, deliveries, drip, one_cut, two_cuts, whole

from streamkit.cassettes import load_cassette

# -- delivery


@given(st.binary(max_size=24), st.integers(0, 24))
def test_every_delivery_joins_to_the_body(body: bytes, scan: int) -> None:
    """Invariant: whatever is delivered, it is the body and nothing but the body, in chunks that are not empty."""
    for chunks in deliveries(body, scan=scan):
        assert body == b"".join(chunks)
        assert [] == [chunk for chunk in chunks if not chunk and body]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 10, 40])
def test_every_split_is_delivered_once(size: int) -> None:
    body = bytes(range(size))
    assert [[body]] == [whole(body)]
    assert size == len(drip(body))
    ones, twos = list(one_cut(body)), list(two_cuts(body))
    assert max(0, size - 1) == len(ones) == len({tuple(chunks) for chunks in ones})
    assert math.comb(max(0, size - 1), 2) == len(twos) == len({tuple(chunks) for chunks in twos})
    assert all(len(chunks) == 2 for chunks in ones)
    assert all(len(chunks) == 3 for chunks in twos)


def test_two_cuts_are_tried_in_small_bodies_only() -> None:
    assert 2 + 4 + 6 == len(list(deliveries(b"abcde", scan=5)))
    assert 2 + 4 == len(list(deliveries(b"abcde", scan=4)))


def test_always_gives_the_result_that_no_delivery_changes() -> None:
    assert b"abc" == always(b"abc", b"".join)


@pytest.mark.parametrize("wrong", [1, 2, 3, 4])
def test_always_fails_on_a_decoder_that_one_number_of_chunks_breaks(wrong: int) -> None:
    def decode(chunks: Iterable[bytes]) -> bool:
        return len(list(chunks)) == wrong

    with pytest.raises(AssertionError):
        always(b"abcd", decode)


# -- corpus


def test_recordings_are_found_with_their_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").mkdir()
    for name, family in (("b/two", "sse"), ("a-one", "ndjson")):
        (tmp_path / f"{name}.sse").write_bytes(b"data: 1\n\n")
        (tmp_path / f"{name}.meta.json").write_text(json.dumps({"wire_family": family}), "utf-8")
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    find = corpus.recordings.__wrapped__  # what was found in another folder must not be remembered
    assert ["a-one.sse", "b/two.sse"] == [recording.name for recording in find()]
    (found,) = find(family="sse")
    assert ("b/two.sse", "sse", b"data: 1\n\n") == (found.name, found.family, found.body)
    assert () == find(".jsonl")


def test_a_recording_without_facts_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.sse").write_bytes(b"")
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"one\.meta\.json"):
        corpus.recordings.__wrapped__()


@corpus.needs_corpus
def test_the_corpus_holds_bodies_in_the_order_of_their_names() -> None:
    found = corpus.recordings()
    assert found, f"{corpus.FOLDER} holds no recording"
    assert all(one.name < other.name or one.path < other.path for one, other in pairwise(found))
    assert all(recording.body for recording in found)


# -- bundled cassettes


def test_the_bundled_files_are_what_their_source_gives() -> None:
    expected = bundled.files()
    recorded = bundled.FOLDER / "recorded"  # of servers, by the scripts in tests/recording
    there = {path for path in bundled.FOLDER.rglob("*") if path.is_file() and recorded not in path.parents}
    assert set(expected) == there, "run: python tests/skhelpers/bundled.py"
    for path, raw in expected.items():
        assert raw == path.read_bytes(), f"{path.name} differs: run python tests/skhelpers/bundled.py"


def test_the_files_hold_the_transcripts_of_the_source() -> None:
    for transcript in bundled.transcripts():
        (held,) = load_cassette(bundled.FOLDER / f"{transcript.name}.yaml", name=transcript.name).transcripts
        assert transcript == held
        assert transcript.request == held.request


def test_the_boston_body_is_the_published_one() -> None:
    body = bundled.boston().body
    assert 3220 == len(body)
    assert "bc7d72dd69d9f783a7728c33fec3e74e8796870e2ef73cb02efc340bbe649ecb" == hashlib.sha256(body).hexdigest()


def test_what_no_server_sent_says_so() -> None:
    for transcript in bundled.transcripts():
        assert transcript.synthetic == transcript.name.rpartition("/")[2].startswith("synthetic_")
        assert transcript.source
