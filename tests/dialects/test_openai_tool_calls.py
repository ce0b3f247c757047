"""Which fragment belongs to which tool call, whatever the server makes of ids, names and indexes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from skhelpers.chat import Json, call, calls, choice, delta, finish, payload, read

from streamkit.errors import PayloadError

if TYPE_CHECKING:
    pass
from skhelpers.chat_calls import PARIS, TIME, WEATHER, A, B, heads, made

# What the API says


@pytest.mark.parametrize(
    "events",
    [
        [calls(call(**A, arguments=PARIS))],  # ggml-org/llama.cpp#22722
        [calls(call(**A, arguments="")), calls(call(arguments=PARIS))],
        [calls(call(**A)), *(calls(call(arguments=character)) for character in PARIS)],
        [calls(call(**A, arguments=PARIS[:1])), calls(call(arguments=PARIS[1:])), calls(call(arguments=""))],
        [calls(call(**A, type="function"), call(arguments=PARIS[:3]), call(arguments=PARIS[3:]))],  # openai-python#3201
        [calls(call(**A)), payload(choice(tool_calls=[call(arguments=PARIS)]), choice(content=""))],  # dynamo#15054
        [payload(choice(0, "tool_calls", tool_calls=[call(**A, arguments=PARIS)]))],
    ],
)
def test_fragments_of_one_call_are_joined_however_they_are_cut(events: list[Json]) -> None:
    assert [WEATHER] == heads(*events)


def test_calls_of_one_payload_are_all_kept() -> None:  # endolith/open-interpreter#315
    assert [WEATHER, TIME] == heads(calls(call(0, **A, arguments=PARIS), call(1, **B, arguments="{}")))


def test_interleaved_fragments_are_routed_by_index() -> None:  # maximhq/bifrost#1829
    openers = [call(0, **A), call(1, **B)]
    for order in sorted(set(itertools.permutations((0, 0, 0, 1, 1)))):
        left = {0: [PARIS[:2], PARIS[2:9], PARIS[9:]], 1: ["{", "}"]}
        fragments = [call(index, arguments=left[index].pop(0)) for index in order]
        assert [WEATHER, TIME] == heads(calls(*openers), *(calls(fragment) for fragment in fragments)), order


def test_calls_of_several_choices_are_kept_apart() -> None:
    completion = read(
        payload(choice(0, tool_calls=[call(**A)]), choice(1, tool_calls=[call(**B)])),
        payload(choice(1, tool_calls=[call(arguments="{}")]), choice(0, tool_calls=[call(arguments=PARIS)])),
        payload(choice(0, "tool_calls"), choice(1, "tool_calls")),
    )
    assert [PARIS, "{}"] == [part.tool_calls[0].arguments for part in completion.choices]


@pytest.mark.parametrize("content", [{}, {"content": ""}, {"content": None}, {"content": "ok"}])
def test_content_and_calls_may_share_a_delta(content: Json) -> None:  # deepset-ai/haystack#12610
    completion = read(calls(call(**A), **content), calls(call(arguments=PARIS), content="!"), finish("tool_calls"))
    assert ((content.get("content") or "") + "!", PARIS) == (completion.content, completion.tool_calls[0].arguments)


@pytest.mark.parametrize("nothing", [[], None, [None]])
def test_an_empty_list_of_calls_is_no_call(nothing: list[None] | None) -> None:  # openai/openai-go#437
    completion = read(delta(content="I", tool_calls=nothing), finish())
    assert ("I", ()) == (completion.content, completion.tool_calls)


def test_the_type_is_function_unless_the_server_says_otherwise() -> None:  # vercel/ai#5350
    late = call(1, type="function")
    custom: Json = {"index": 2, "id": "c", "type": "custom", "custom": {"name": "grep", "input": "a+"}}
    rest: Json = {"index": 2, "custom": {"input": "b"}}
    found = made(calls(call(0, **A), call(1, **B)), calls(late, custom), calls(rest))
    assert ["function", "function", "custom"] == [tool_call.type for tool_call in found]
    assert ("grep", "a+b", True) == (found[2].name, found[2].arguments, found[2].executable)


def test_the_first_type_counts_and_may_be_one_that_nobody_knows() -> None:
    nameless: Json = {"index": 1, "id": "c", "custom": {"name": "grep", "input": "a"}}
    found = made(calls(call(0, **A, type="mcp"), nameless), calls(call(0, type="function"), call(1, type="function")))
    assert ["mcp", "custom"] == [tool_call.type for tool_call in found]


def test_what_else_a_provider_sends_with_a_call_is_kept() -> None:  # langroid/langroid#985
    extra = {"google": {"thought_signature": "AbC="}}
    found = made(calls(call(**A, extra_content=extra)), calls(call(arguments="{}", extra_content=None)))
    assert {"extra_content": extra} == found[0].extra


# null, "" and absent are one


@pytest.mark.parametrize("none", [None, ""])
def test_empty_fields_of_a_continuation_change_nothing(none: str | None) -> None:  # symfony/ai#2220
    rest: Json = {"index": 0, "id": none, "type": none, "function": {"name": none, "arguments": PARIS}}
    assert [WEATHER] == heads(calls(call(**A, type="function")), calls(rest))


@pytest.mark.parametrize("function", [{}, {"function": None}, {"function": {}}, {"function": {"arguments": None}}])
def test_a_fragment_without_a_function_changes_nothing(function: Json) -> None:  # deepset-ai/haystack#9565
    empty: Json = {"index": 0, **function}
    assert [WEATHER] == heads(calls(empty), calls(call(**A)), calls(empty), calls(call(arguments=PARIS)), calls(empty))


@pytest.mark.parametrize("arguments", [None, "", "  ", "{}"])
def test_a_call_without_arguments_may_be_executed_with_none(arguments: str | None) -> None:  # vercel/ai#6687
    found = made(calls(call(**B, arguments=arguments)))
    assert ({}, arguments or "") == (found[0].parsed(), found[0].arguments)


# Indexes


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [((0, 1), "ab"), ((1, 2), "ab"), ((0, 3), "ab"), ((1, 0), "ba"), ((7, 2), "ba"), ((-1, 0), "ab"), ((-1, -2), "ba")],
)
def test_the_index_is_a_key_and_gives_the_order(indexes: tuple[int, int], expected: str) -> None:
    # vercel/ai#18333, openai/openai-go#464, openai/openai-python#3245
    first, second = indexes
    found = heads(
        calls(call(first, **A, arguments="{")),
        calls(call(second, **B, arguments="{")),
        calls(call(second, arguments="}"), call(first, arguments="}")),
    )
    assert [{"a": "call_a", "b": "call_b"}[letter] for letter in expected] == [id_ for id_, _, _ in found]
    assert ["{}", "{}"] == [arguments for _, _, arguments in found]


def test_another_id_and_name_at_the_same_index_is_another_call() -> None:  # ollama/ollama#15457
    fragments = [call(**A, arguments=PARIS[:4]), call(arguments=PARIS[4:]), call(**B), call(arguments="{}")]
    assert [WEATHER, TIME] == heads(*(calls(fragment) for fragment in fragments))


def test_another_call_of_the_same_function_at_the_same_index_is_another_call() -> None:
    twice = [call(id=name, name="get_weather", arguments=PARIS) for name in ("call_1", "call_2")]
    assert [("call_1", "get_weather", PARIS), ("call_2", "get_weather", PARIS)] == heads(calls(*twice))


def test_another_name_at_the_same_index_is_another_call_where_there_are_no_ids() -> None:
    fragments = [call(name="get_weather"), call(arguments=PARIS), call(name="get_time", arguments="{}")]
    assert [(None, "get_weather", PARIS), (None, "get_time", "{}")] == heads(*(calls(part) for part in fragments))


@pytest.mark.parametrize("index", [{}, {"index": None}])
def test_without_indexes_an_id_opens_a_call_and_the_rest_continues_it(index: Json) -> None:  # ollama/ollama#7881
    fragments = [call(None, **A), call(None, arguments=PARIS[:5]), call(None, arguments=PARIS[5:])]
    fragments += [call(None, **B, arguments="{"), call(None, arguments="}")]
    assert [WEATHER, TIME] == heads(*(calls({**fragment, **index}) for fragment in fragments))


def test_without_indexes_and_ids_a_name_opens_a_call() -> None:
    fragments = [call(None, name="get_weather"), call(None, arguments=PARIS), call(None, name="get_time")]
    fragments += [call(None, arguments="{}"), call(None, name="get_time", arguments="{}"), call(None, name="ping")]
    expected = [("get_weather", PARIS), ("get_time", "{}"), ("get_time", "{}"), ("ping", "")]
    assert [(None, *head) for head in expected] == heads(*(calls(fragment) for fragment in fragments))


def test_without_indexes_and_ids_nobody_knows_a_call_without_arguments_from_a_piece_of_a_name() -> None:
    found = made(calls(call(None, name="get_")), calls(call(None, name="weather")), calls(call(None, arguments=PARIS)))
    assert [("get_", ""), ("weather", PARIS)] == [(one.name, one.arguments) for one in found]
    assert [False, False] == [one.executable for one in found]


def test_without_indexes_a_new_id_opens_a_call_whose_name_may_come_later() -> None:
    fragments = [call(None, id="call_a", arguments=PARIS[:3]), call(None, name="get_weather", arguments=PARIS[3:])]
    fragments += [call(None, id="call_b"), call(None, name="get_time", arguments="{}")]
    assert [WEATHER, TIME] == heads(*(calls(fragment) for fragment in fragments))


def test_without_indexes_and_ids_a_repeated_name_continues_a_call_that_is_not_whole() -> None:
    pieces = ["", '{"a":{', "}", ',"b":', "1}"]
    assert [(None, "f", "".join(pieces))] == heads(*(calls(call(None, name="f", arguments=piece)) for piece in pieces))


def test_a_known_id_is_the_same_call_at_whatever_index() -> None:  # BerriAI/litellm#12973, mudler/LocalAI#9722
    fragments = [call(0, **A), call(1, **B), call(1, id="call_a", arguments=PARIS), call(None, id="call_b")]
    assert [WEATHER, ("call_b", "get_time", "")] == heads(*(calls(fragment) for fragment in fragments))
    assert [WEATHER] == heads(*(calls(call(index, **A, arguments=PARIS)) for index in range(3)))


# Ids and names


@pytest.mark.parametrize("identity", [A, {"id": "call_a"}, {"name": "get_weather"}])
def test_id_type_and_name_repeated_on_every_fragment_are_taken_once(identity: Json) -> None:
    # NousResearch/hermes-agent#11984, spring-projects/spring-ai#5974, ggml-org/llama.cpp#13774
    fragments = [call(**identity, type="function", arguments=character) for character in PARIS]
    assert [WEATHER] == heads(calls(call(**A)), *(calls(fragment) for fragment in fragments))


def test_a_name_repeated_without_any_id_is_taken_once() -> None:
    fragments = [call(name="get_weather", arguments=character) for character in PARIS]
    assert [(None, "get_weather", PARIS)] == heads(*(calls(fragment) for fragment in fragments))


def test_a_fresh_id_on_every_nameless_fragment_continues_the_call() -> None:  # poolsideai/pool#9
    fragments = [call(id=f"fresh_{n}", arguments=character) for n, character in enumerate(PARIS)]
    assert [WEATHER] == heads(calls(call(**A)), *(calls(fragment) for fragment in fragments))


def test_a_call_without_id_is_kept() -> None:  # BerriAI/litellm#29514
    assert [(None, "get_weather", PARIS)] == heads(calls(call(name="get_weather", arguments=PARIS)))


def test_a_late_id_is_the_id() -> None:
    assert [WEATHER] == heads(
        calls(call(name="get_weather", arguments=PARIS[:1])), calls(call(**A, arguments=PARIS[1:]))
    )


@pytest.mark.parametrize("again", [{}, {"id": "call_a"}])
def test_a_name_in_pieces_is_joined(again: Json) -> None:  # unslothai/unsloth#8630
    opener = call(id="call_a", name="get_")
    assert [WEATHER] == heads(
        calls(opener), calls(call(name="weather", **again)), calls(call(arguments=PARIS, **again))
    )


@pytest.mark.parametrize("index", [(0, 1), (0, 0), (None, None)])
def test_a_name_in_pieces_is_joined_by_its_id_whatever_comes_in_between(index: tuple[int | None, int | None]) -> None:
    first, second = index
    fragments = [call(first, id="call_a", name="get_"), call(second, id="call_b", name="get_")]
    fragments += [call(first, id="call_a", name="weather"), call(second, id="call_b", name="time")]
    fragments += [call(first, id="call_a", arguments=PARIS), call(second, id="call_b", arguments="{}")]
    assert [WEATHER, TIME] == heads(*(calls(fragment) for fragment in fragments))


@pytest.mark.parametrize("ids", [{"id": "call_a"}, {}])
def test_a_name_in_pieces_is_joined_by_its_index_whatever_comes_in_between(ids: Json) -> None:
    fragments = [
        call(0, name="get_", **ids),
        call(1, **B, arguments="{"),
        call(0, name="weather"),
        call(1, arguments="}"),
    ]
    found = heads(*(calls(fragment) for fragment in fragments), calls(call(0, arguments=PARIS)))
    assert [(ids.get("id"), "get_weather", PARIS), TIME] == found


@pytest.mark.parametrize("cut", range(1, len("get_weather")))
@pytest.mark.parametrize("apart", [False, True])
def test_a_name_in_pieces_is_joined_without_indexes_where_openers_have_ids(cut: int, apart: bool) -> None:
    name = "get_weather"
    rest = [call(None, name=name[cut:]), call(None, arguments=PARIS)]
    fragments = [
        call(None, id="call_a", name=name[:cut]),
        *(rest if apart else [call(None, name=name[cut:], arguments=PARIS)]),
    ]
    fragments += [call(None, id="call_b", name="get_"), call(None, name="time"), call(None, arguments="{}")]
    assert [WEATHER, TIME] == heads(*(calls(fragment) for fragment in fragments))


def test_a_repeated_name_finds_its_call_without_indexes_where_openers_have_ids() -> None:
    openers = [call(None, **A), call(None, **B)]
    fragments = [call(None, name="get_weather", arguments=PARIS), call(None, name="get_time", arguments="{}")]
    assert [WEATHER, TIME] == heads(*(calls(fragment) for fragment in openers + fragments))


@pytest.mark.parametrize("index", [None, 0])
def test_a_piece_of_a_name_that_may_be_of_any_of_several_calls_is_an_error(index: int | None) -> None:
    openers = [call(index, id="call_a", name="get_"), call(index, id="call_b", name="get_")]
    with pytest.raises(PayloadError, match="'weather' may belong to any of several calls"):
        made(*(calls(opener) for opener in openers), calls(call(index, name="weather")))


def test_a_late_name_that_may_be_of_any_of_several_calls_is_an_error() -> None:
    openers = [call(None, id="call_a", arguments=PARIS), call(None, id="call_b", arguments="{}")]
    with pytest.raises(PayloadError, match="'get_weather' may belong to any of several calls"):
        made(*(calls(opener) for opener in openers), calls(call(None, name="get_weather")))


def test_a_name_that_comes_after_the_arguments_began_is_the_name() -> None:  # vercel/ai#14722
    opener = call(id="call_a", arguments=PARIS[:6])
    assert [WEATHER] == heads(calls(opener), calls(call(name="get_weather", arguments=PARIS[6:])))
