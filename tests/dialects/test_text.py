"""How pieces of text, names and a provider's own fields join."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.dialects.text import Text, add_name, merge_extra, pair_surrogates

CLEF = "\U0001d11e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("abc", "abc"),
        (CLEF, CLEF),
        ("\ud834\udd1e", CLEF),
        ("a\ud834\udd1eb" + CLEF, f"a{CLEF}b{CLEF}"),
        ("\ud834", "\ufffd"),
        ("a\udd1e", "a\ufffd"),
        ("\udd1e\ud834", "\ufffd\ufffd"),
        ("\ud834\ud834\udd1e", f"\ufffd{CLEF}"),
        ("\ud834a\udd1e", "\ufffda\ufffd"),
    ],
)
def test_surrogate_halves_become_a_character_or_a_replacement(text: str, expected: str) -> None:
    assert expected == pair_surrogates(text)


@given(st.text(st.characters() | st.characters(categories=["Cs"])))
def test_paired_text_can_be_encoded(text: str) -> None:
    """Invariant: the result is UTF-8, and text that already was is unchanged."""
    paired = pair_surrogates(text)
    assert paired == paired.encode().decode() == pair_surrogates(paired)
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert text == paired


def test_text_never_sent_and_empty_text_differ() -> None:
    text = Text()
    assert (None, "", 0) == (text.value, str(text), len(text))
    text.add("")
    assert ("", "", 0) == (text.value, str(text), len(text))


def test_text_is_its_pieces_joined_with_surrogate_halves_paired() -> None:
    text = Text()
    for piece in ("a\ud834", "\udd1e", "b"):
        text.add(piece)
    assert (f"a{CLEF}b", f"a{CLEF}b", 4) == (text.value, str(text), len(text))


def test_texts_are_equal_by_what_they_say() -> None:
    one, other = Text(), Text()
    assert one == other
    one.add("ab")
    assert one != other
    other.add("a")
    other.add("b")
    assert one == other
    assert one != "ab"


def test_a_copy_of_a_text_grows_on_its_own() -> None:
    text = Text()
    text.add("a")
    twin = copy.deepcopy(text)
    text.add("b")
    assert ("ab", "a") == (str(text), str(twin))


def test_a_text_cannot_be_hashed() -> None:
    with pytest.raises(TypeError):
        hash(Text())


@pytest.mark.parametrize(
    ("name", "piece", "expected"),
    [
        (None, "get", "get"),
        ("", "get", "get"),
        ("get", "get", "get"),
        ("get_", "weather", "get_weather"),
        ("get_weather", "get_weather", "get_weather"),
    ],
)
def test_a_name_takes_another_piece_and_ignores_a_repeat(name: str | None, piece: str, expected: str) -> None:
    assert expected == add_name(name, piece)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b"], "ab"),
        ([[1], [2, 3]], [1, 2, 3]),
        ([1, 2], 2),
        ([True, "a"], "a"),
        ([[1], "a"], "a"),
        ([{"a": 1}, 2], 2),
        (["a", {"b": 1}], {"b": 1}),
        ([{"a": "x"}, {"a": "y", "b": 1}, {"b": None}], {"a": "xy", "b": 1}),
        (
            [{"id": "x", "type": "t", "index": 0, "format": "f"}] * 2,
            {"id": "x", "type": "t", "index": 0, "format": "f"},
        ),
        ([{"a": {"b": ["x"]}}, {"a": {"b": ["y"]}}], {"a": {"b": ["x", "y"]}}),
    ],
)
def test_a_field_of_the_provider_is_merged_by_its_kind(values: list[Any], expected: Any) -> None:
    extra: dict[str, Any] = {}
    for value in values:
        merge_extra(extra, "field", value)
    assert {"field": expected} == extra


def test_merging_leaves_what_was_merged_as_it_was() -> None:
    first, second = {"a": ["x"], "b": {"c": 1}}, {"a": ["y"], "b": {"d": 2}}
    extra: dict[str, Any] = {}
    merge_extra(extra, "field", first)
    merge_extra(extra, "field", second)
    assert {"field": {"a": ["x", "y"], "b": {"c": 1, "d": 2}}} == extra
    assert ({"a": ["x"], "b": {"c": 1}}, {"a": ["y"], "b": {"d": 2}}) == (first, second)
