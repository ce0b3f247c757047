from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from streamkit.fuzz.normal import ABSENT, Record, differences, jsonable, normalise


class Model(BaseModel):
    model_config = ConfigDict(extra="allow")
    text: str


class Other(BaseModel):
    text: str


@dataclasses.dataclass
class Data:
    text: str
    reads: int = dataclasses.field(default=0, compare=False)


class Plain:
    def __init__(self, text: str) -> None:
        self.text = text


class Slots:
    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Equal:
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    __hash__ = None  # type: ignore[assignment]  # not needed here


class Colour(enum.Enum):
    RED = "red"


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (math.nan, float("nan")),
        ((1, 2), [1, 2]),
        (OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (Model.model_validate({"text": "a", "more": math.nan}), Model.model_validate({"text": "a", "more": math.nan})),
        (Data("a", 1), Data("a", 2)),
        (Plain("a"), Plain("a")),
        (Slots("a"), Slots("a")),
        (Equal(), Equal()),
        (Colour.RED, "red"),
        ({1, 2, 3}, {3, 2, 1}),
        (Point(1, 2), Point(1, 2)),
        (ValueError("a"), ValueError("a")),
        (object(), object()),
    ],
)
def test_results_that_mean_the_same_are_equal(one: Any, other: Any) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Model(text="a"), Model(text="b")),
        (Model.model_validate({"text": "a", "more": 1}), Model.model_validate({"text": "a", "more": 2})),
        (Model(text="a"), Other(text="a")),
        (Data("a"), Data("b")),
        (Plain("a"), Plain("b")),
        (Plain("a"), {"text": "a"}),
        (ValueError("a"), KeyError("a")),
        ({"a": 1}, {"a": 1, "b": None}),
        ("a", b"a"),
    ],
)
def test_results_that_differ_are_not_equal(one: Any, other: Any) -> None:
    assert normalise(one) != normalise(other)


def test_the_normal_form_is_a_copy() -> None:
    value = {"calls": [{"name": "f"}]}
    before = normalise(value)
    value["calls"][0]["name"] = "g"
    assert {"calls": [{"name": "f"}]} == before


def test_a_result_that_holds_itself_is_no_endless_loop() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert [1, "<a list inside itself, or very deep>"] == normalise(value)


@pytest.mark.parametrize("depth", [3, 15, 16, 17, 60])
@pytest.mark.parametrize(
    "inner", [Data("a", 3), Model.model_validate({"text": "a", "more": [1]}), float("nan"), Slots("a"), {"a": (1, 2)}]
)
def test_what_stands_deep_in_a_result_is_looked_at_as_what_stands_high(inner: Any, depth: int) -> None:
    result, expected = inner, normalise(inner)
    for _ in range(depth):
        result, expected = [{"in": (result,)}], [{"in": [expected]}]
    found = normalise(result)
    assert expected == found
    assert repr(expected) == repr(found)  # the classes of records too


def test_a_dataclass_that_holds_itself_is_no_endless_loop() -> None:
    data = Data("a")
    data.text = data  # type: ignore[assignment]  # as a parser may do it
    assert Record("Data", {"text": "<a Data inside itself, or very deep>"}) == normalise(data)


def test_a_memory_address_is_no_difference() -> None:
    class Odd:
        __slots__ = ()

        def __repr__(self) -> str:
            return f"<Odd at {hex(id(self))}>"

    assert "<Odd at 0x...>" == normalise(Odd())


def test_differences_are_named_by_their_path() -> None:
    one = {"choices": [{"text": "a", "n": 1}], "x": 1}
    two = {"choices": [{"text": "b", "n": 1}, {}], "y": 1}
    assert [
        ("choices[0].text", "a", "b"),
        ("choices[1]", ABSENT, {}),
        ("x", 1, ABSENT),
        ("y", ABSENT, 1),
    ] == list(differences(one, two))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.builds(lambda x: Record("R", {"x": x}), inner)
    ),
    max_leaves=10,
)


@given(json_values, json_values)
def test_two_normal_forms_are_equal_just_if_they_have_no_differences(one: Any, other: Any) -> None:
    """Invariance: `differences` and equality agree, and every normal form can be written as JSON."""
    one, other = normalise(one), normalise(other)
    assert [] == list(differences(one, one))
    if one != other:
        assert list(differences(one, other))
    json.dumps(jsonable(one)).encode()


def test_a_lone_surrogate_can_be_written_as_json() -> None:
    assert "\\ud83c" == jsonable("\ud83c")
    assert "🌍" == jsonable("\U0001f30d")
