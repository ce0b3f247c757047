"""Functions that a model may call: their schemas, and what `call_function` checks before it calls."""

from __future__ import annotations

import datetime as dt
import functools
import json
import sys
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import streamkit
from streamkit.conversation import Functions, Outcome, Status
from streamkit.conversation.examples import functions as examples
from streamkit.errors import UsageError


class Unit(Enum):
    C = "celsius"
    F = "fahrenheit"


class Place(BaseModel):
    city: str


class Odd(BaseModel):
    n: int

    def model_post_init(self, _: Any) -> None:
        raise KeyError("odd")


CITY = {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}, "required": ["city"]}


def add(a: int, b: float = 0.5) -> float:
    """Adds two numbers.

    And says no more of it to a model.
    """
    return a + b


def weather(city: str) -> str:
    return f"fine in {city}"


def one(function: Any, **how: Any) -> Functions:
    functions = Functions()
    functions.add(function, **how)
    return functions


# -- definitions


def test_a_typed_function_is_its_own_definition() -> None:
    expected = {
        "name": "add",
        "description": "Adds two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "number"}},
            "required": ["a"],
        },
    }
    assert expected == Functions([add])["add"].definition()


def test_annotations_describe_parameters_and_types_become_schemas() -> None:
    def ask(
        where: Annotated[str, Field(description="The city", min_length=2)],
        unit: Unit,
        days: list[int] | None = None,
        model_config: bool = False,
    ) -> None: ...

    schema = Functions([ask])["ask"].definition()["parameters"]
    assert {"type": "string", "description": "The city", "minLength": 2} == schema["properties"]["where"]
    assert ["celsius", "fahrenheit"] == schema["$defs"]["Unit"]["enum"]
    assert {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]} == schema["properties"][
        "days"
    ]
    assert "boolean" == schema["properties"]["model_config"]["type"], "a name that pydantic's models use themselves"
    assert ["where", "unit"] == schema["required"]


def test_the_examples_are_defined_as_public_guides_define_them() -> None:
    request = streamkit.load("openai_chat/boston_weather").request
    assert request is not None
    (tool,) = json.loads(request.body)["tools"]
    assert tool["function"] == examples["get_current_weather"].definition()
    counted = {
        "name": "count_string",
        "description": "Counts the number of characters in a string.",
        "parameters": {
            "type": "object",
            "properties": {
                "string_to_count": {
                    "type": "string",
                    "description": "The string whose characters you want to count.",
                },
            },
            "required": ["string_to_count"],
        },
    }
    assert counted == examples["count_string"].definition()


def test_a_definition_by_hand_is_sent_as_it_is() -> None:
    function = one(weather, name="get_weather", description="Says it.", parameters=CITY)["get_weather"]
    assert {"name": "get_weather", "description": "Says it.", "parameters": CITY} == function.definition()


def test_a_decorator_leaves_the_function_as_it_is() -> None:
    functions = Functions()
    assert functions.add(add) is add
    assert functions.add(parameters=CITY)(weather) is weather
    assert ["add", "weather"] == [function.name for function in functions]
    assert "add" in functions
    assert 2 == len(functions)
    assert Functions.of(functions) is functions
    assert 2 == len(Functions([functions["add"], weather]))


def no_type(a) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - which is the point
def stars(*a: int) -> None: ...
def positional(a: int, /) -> None: ...
def not_there(a: NoSuchType) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - which is the point


@pytest.mark.parametrize(
    ("function", "how", "said"),
    [
        (no_type, {}, "the parameter 'a' has no type"),
        (stars, {}, "takes none"),
        (positional, {}, "takes none"),
        (not_there, {}, "parameters cannot be read: name 'NoSuchType'"),
        (lambda city: city, {"parameters": CITY}, "no function name"),
        (weather, {"name": "get weather"}, "'get weather' is no function name"),
        (weather, {"name": "w" * 65}, "is no function name"),
        (weather, {"parameters": {"type": "string"}}, "with 'type': 'object'"),
        (
            weather,
            {"parameters": {"type": "object", "properties": {"a": {"type": "text"}}}},
            "are no JSON Schema: 'text'",
        ),
        (weather, {"parameters": {"type": "object", "x": {1, 2}}}, "are no JSON Schema"),
        ("weather", {}, "'weather' is no function"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused_and_told_why(function: Any, how: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        one(function, **how)


def test_two_functions_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two functions named 'add'"):
        Functions([add, add])


def test_without_jsonschema_a_schema_by_hand_is_refused_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(UsageError, match=r"pip install 'pytest-streamkit\[conversation\]'"):
        one(weather, parameters=CITY)
    assert one(weather).call_function("weather", '{"city":"Rome"}').ok


# -- calls


@pytest.mark.parametrize("how", [{}, {"parameters": CITY}], ids=["typed", "by hand"])
@pytest.mark.parametrize(
    ("name", "arguments", "status", "text"),
    [
        ("weather", '{"city":"Rome"}', Status.OK, "fine in Rome"),
        ("wether", '{"city":"Rome"}', Status.UNKNOWN_FUNCTION, "no function 'wether'. Did you mean weather?"),
        ("", "{}", Status.UNKNOWN_FUNCTION, "no function ''. There are: weather."),
        ("weather", '{"city":"Ro', Status.INVALID_ARGUMENTS, "cannot be used: not JSON"),
        ("weather", '["Rome"]', Status.INVALID_ARGUMENTS, "JSON, but no object"),
        ("weather", '{"city":NaN}', Status.INVALID_ARGUMENTS, "not JSON"),
        ("weather", '{"city":"Rome"}{}', Status.INVALID_ARGUMENTS, "not JSON"),
        ("weather", "[" * 100_000, Status.INVALID_ARGUMENTS, "not JSON"),
        ("weather", '{"city":5}', Status.INVALID_ARGUMENTS, "city: "),
        ("weather", "{}", Status.INVALID_ARGUMENTS, "city"),
        ("weather", "", Status.INVALID_ARGUMENTS, "city"),
        ("weather", '{"city":"Rome","unit":"K"}', Status.INVALID_ARGUMENTS, "unit"),
    ],
)
def test_a_call_is_checked_before_it_is_made(how: Any, name: str, arguments: str, status: Status, text: str) -> None:
    made: list[str] = []

    def noting(city: str) -> str:
        made.append(city)
        return weather(city)

    outcome = one(noting, name="weather", **how).call_function(name, arguments)
    assert (status, name) == (outcome.status, outcome.name)
    assert text in outcome.text
    assert (["Rome"] if status is Status.OK else []) == made
    assert (status is Status.OK) == outcome.ok


def test_a_schema_is_held_to_beyond_types() -> None:
    functions = one(weather, parameters=CITY)
    assert "city: 'R' is too short" in functions.call_function("weather", '{"city":"R"}').text
    functions = one(lambda n: n, name="n", parameters={"type": "object", "properties": {"n": {"$ref": "#/$defs/no"}}})
    assert Status.INVALID_ARGUMENTS is functions.call_function("n", '{"n":1}').status


def test_a_schema_fetches_nothing() -> None:
    parameters = {"type": "object", "properties": {"n": {"$ref": "http://127.0.0.1:9/schema"}}}
    outcome = one(lambda n: n, name="n", parameters=parameters).call_function("n", '{"n":1}')
    assert (Status.INVALID_ARGUMENTS, True) == (outcome.status, "refers to what is not there" in outcome.text)


def test_what_a_typed_function_gets_has_its_types_and_its_own_defaults() -> None:
    got: list[Any] = []

    def book(day: dt.date, at: Place, kind: Literal["a", "b"] = "b", *, sure: bool = True) -> None:
        got.extend([day, at, kind, sure])

    assert Functions([book]).call_function("book", '{"day":"2026-11-26","at":{"city":"Rome"}}').ok
    assert [dt.date(2026, 11, 26), Place(city="Rome"), "b", True] == got
    wrong = Functions([book]).call_function("book", '{"day":"soon","at":{}}').text
    assert "day: Input should be a valid date" in wrong
    assert "at.city: Field required" in wrong


def test_nothing_is_converted_that_the_schema_does_not_allow() -> None:
    functions = Functions([add])
    assert "a: Input should be a valid integer" in functions.call_function("add", '{"a":"5"}').text
    assert 5.5 == functions.call_function("add", '{"a":5}').value
    assert 7 == functions.call_function("add", '{"a":5,"b":2}').value


@dataclass
class Point:
    x: float
    y: float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'),
        (Point(1.0, float("nan")), '{"x":1.0,"y":"NaN"}'),
        (dt.date(2026, 1, 2), '"2026-01-02"'),
    ],
)
def test_a_result_is_a_text_or_json(value: Any, text: str) -> None:
    outcome = one(lambda: value, name="f").call_function("f", "")
    assert (Status.OK, text) == (outcome.status, outcome.text)
    assert outcome.value is value


def test_a_result_that_cannot_be_written_is_a_failure() -> None:
    outcome = one(object, name="f", parameters={"type": "object"}).call_function("f", "{}")
    assert (Status.FAILED, "Error: the result of f is of type object, which cannot be written as JSON.") == (
        outcome.status,
        outcome.text,
    )


def test_a_failure_tells_the_class_and_the_message_and_no_more() -> None:
    class Thing:
        pass

    def broken() -> None:
        raise LookupError(f"no such key in {Thing()!r}, nor at {print!r}" + "x" * 2000)

    outcome = Functions([broken]).call_function("broken", "{}")
    assert outcome.text.startswith("Error: broken failed: LookupError: no such key in <")
    assert "0x" not in outcome.text
    assert "Traceback" not in outcome.text
    assert len(outcome.text) < 700
    assert isinstance(outcome.error, LookupError)


@pytest.mark.parametrize("error", [ValueError, StopIteration, SystemExit, RecursionError, TimeoutError, GeneratorExit])
def test_whatever_a_function_raises_is_an_outcome(error: type[BaseException]) -> None:
    def broken() -> None:
        raise error("no")

    if error is GeneratorExit:  # as Ctrl-C, it is none of the function's own errors
        with pytest.raises(GeneratorExit):
            Functions([broken]).call_function("broken", "")
        return
    outcome: Outcome = Functions([broken]).call_function("broken", "")
    assert (Status.FAILED, f"Error: broken failed: {error.__name__}: no") == (outcome.status, outcome.text)


def test_a_validator_that_fails_by_itself_is_told_as_arguments_that_cannot_be_used() -> None:
    def f(odd: Odd) -> None: ...

    assert Status.INVALID_ARGUMENTS is Functions([f]).call_function("f", '{"odd":{"n":1}}').status


def query(database: object, account: int, text: str, limit: int = 10) -> str:
    """Looks for a text."""
    return f"{account}: {text} ({limit})"


def test_what_a_partial_function_has_bound_is_not_the_models_to_see_or_to_give() -> None:
    functions = Functions([functools.partial(functools.partial(query, object()), account=7)])
    (definition,) = [one.definition() for one in functions]
    assert ("query", "Looks for a text.") == (definition["name"], definition["description"])
    assert ({"text", "limit"}, ["text"]) == (
        definition["parameters"]["properties"].keys(),
        definition["parameters"]["required"],
    )
    assert "7: a (10)" == functions.call_function("query", '{"text": "a"}').text
    refused = functions.call_function("query", '{"text": "a", "account": 8}')
    assert Status.INVALID_ARGUMENTS is refused.status
