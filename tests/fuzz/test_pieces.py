"""Lists of deltas that add up to the same, and those that do not."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import pytest

from streamkit.fuzz.normal import normalise
from streamkit.fuzz.pieces import joined_texts, same_pieces


class Text(NamedTuple):
    text: str


class Argument(NamedTuple):
    place: int
    name: str | None
    fragment: str


class Counted(NamedTuple):
    tokens: int


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([Text("Hel"), Text("lo")], [Text("Hello")]),
        ([Text("ab"), Text("ab")], [Text("abab")]),
        ([Text("Hello"), Text("")], [Text("Hello")]),
        ([Argument(0, "f", ""), Argument(0, None, "{}")], [Argument(0, "f", "{}")]),
        (
            [Argument(0, "f", "{"), Argument(1, "g", "["), Argument(0, "", "}"), Argument(1, "", "]")],
            [Argument(0, "f", "{"), Argument(0, "", "}"), Argument(1, "g", "[]")],
        ),
        ([{"type": "text", "value": "a"}, {"type": "text", "value": "b"}], [{"type": "text", "value": "ab"}]),
        ([("text", "a"), ("text", "b"), ("end", "stop")], [("text", "ab"), ("end", "stop")]),
        ([Text("a"), Counted(3)], [Text("a"), Counted(3)]),
        ([None, Text("a"), None, Text("b")], [Text("ab"), None]),
        (["a", "b", Counted(3)], ["ab", Counted(3)]),
        ([{"delta": {"type": "text", "text": one}} for one in "ab"], [{"delta": {"type": "text", "text": "ab"}}]),
        ([{"parts": [{"text": one}]} for one in "ab"], [{"parts": [{"text": "ab"}]}]),
        ([("text", "a"), ("text", "ab")], [("text", "ab")]),
        ([("text", ["a", "b"]), ("tools", [])], [("text", ["ab"]), ("tools", [])]),
        ([{"delta": "a", "so_far": "a"}, {"delta": "b", "so_far": "ab"}], [{"delta": "ab", "so_far": "ab"}]),
        (
            [{"id": "c1", "args": "{"}, {"id": "c2", "args": "["}, {"id": "c1", "args": "{}"}],
            [{"id": "c1", "args": "{}"}, {"id": "c2", "args": "["}],
        ),
        (
            [{"type": "start", "id": "c1", "fn": "f"}, {"type": "start", "id": "c2", "fn": "f"}],
            [{"type": "start", "id": "c2", "fn": "f"}, {"type": "start", "id": "c1", "fn": "f"}],
        ),
    ],
)
def test_the_same_in_other_pieces(one: Any, other: Any) -> None:
    assert same_pieces(normalise(one), normalise(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([Text("Hel"), Text("lo")], [Text("Hell")]),
        ([Text("a"), Text("b")], [Text("ba")]),
        ([Argument(0, "f", "{}")], [Argument(1, "f", "{}")]),
        ([Argument(0, "f", "{}")], [Argument(0, "g", "{}")]),
        ([{"type": "text", "value": "ab"}], [{"type": "thought", "value": "ab"}]),
        ([Text("a"), Counted(3)], [Text("a")]),
        ([Text("a"), Counted(3)], [Text("a"), Counted(4)]),
        ([Text("a")], [3]),
        (["a"], ["b"]),
        (["a", "b"], ["ab"]),
        ([("text", "ab"), ("text", "ab")], [("text", "ab")]),
        ([("text", "a"), ("text", "ab")], [("text", "a")]),
        ([{"id": "c1", "args": "{"}, {"id": "c1", "args": "{}"}], [{"id": "c2", "args": "{}"}]),
        ([{"type": "end", "id": "c1"}, {"type": "end", "id": "c2"}], [{"type": "end", "id": "c1"}]),
        ([{"delta": {"text": "ab"}}], [{"delta": {"thought": "ab"}}]),
        ([{"delta": {"text": "ab"}}], [{"delta": {"text": "b"}}]),
    ],
)
def test_what_adds_up_to_something_else(one: Any, other: Any) -> None:
    assert not same_pieces(normalise(one), normalise(other))


def test_a_list_of_texts_in_a_result_is_one_text_but_names_stay_apart() -> None:
    value = {"text": ["a", "b"], "calls": [["f", "{}"]], "tool_names": ["f", "g"], "count": [1, 2]}
    assert {**value, "text": "ab", "calls": ["f{}"]} == joined_texts(value)


def test_it_takes_a_time_that_grows_with_the_items_however_many_kinds_there_are() -> None:
    def steps(count: int) -> int:
        items = [{"type": "x", "fields": {f"field {number}": "v"}} for number in range(count)]
        taken = 0

        def count_lines(frame: Any, event: str, _: Any) -> Any:
            nonlocal taken
            taken += event == "line"
            return count_lines

        before = sys.gettrace()
        sys.settrace(count_lines)
        try:
            assert same_pieces(items, [*items])
        finally:
            sys.settrace(before)
        return taken

    assert steps(400) < 3 * steps(200)
