"""The registry, and what holds for `accumulate` of every stream: it never depends on the cuts, and its errors."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.chat import DONE, Json, call, calls, choice, delta, finish, payload, read, sse, weather
from skhelpers.delivery import always

from streamkit.dialects import accumulate, detect, get, names
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError, UsageError
from streamkit.transcript import Request, Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names and detection


def test_every_name_gives_the_dialect_of_that_name() -> None:
    assert "openai_chat" in names()
    assert names() == sorted(names()) == [get(name).name for name in names()]


def test_an_unknown_name_is_answered_with_the_nearest_or_all() -> None:
    with pytest.raises(UsageError, match="no dialect named 'openai-chat'; did you mean 'openai_chat'"):
        get("openai-chat")
    with pytest.raises(UsageError, match=r"no dialect named 'x'; there are: .*openai_chat"):
        get("x")
    with pytest.raises(UsageError, match="did you mean 'openai_chat'"):
        accumulate([], dialect="open_ai_chat")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (weather(), "openai_chat"),
        (sse(payload()), "openai_chat"),
        (sse(payload(object="", prompt_filter_results=[]), finish()), "openai_chat"),  # Azure begins without choices
        (sse({"choices": [{"index": 0, "delta": {}}]}), "openai_chat"),  # Copilot names no object
        (sse("not JSON", "5", finish()), "openai_chat"),
        (b"\xef\xbb\xbf" + sse(finish()).replace(b"\n", b"\r\n"), "openai_chat"),
        (b"", None),
        (sse(DONE), None),
        (b"<html>", None),
        (sse({"choices": [5]}), None),
        (sse({"object": "text_completion", "choices": [{"index": 0, "text": "a"}]}), "openai_completions"),
        (sse({"type": "response.created", "response": {"object": "response"}}, finish()), "openai_responses"),
        (sse({"type": "message_start", "message": {"role": "assistant"}}, finish()), "anthropic_messages"),
        (sse({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}), "gemini"),
    ],
)
def test_a_body_is_detected_by_its_first_payload(body: bytes, expected: str | None) -> None:
    found = detect(Transcript(body))
    assert expected == (None if found is None else found.name)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1/chat/completions", "openai_chat"),
        ("https://x.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=1", "openai_chat"),
        ("https://api.openai.com/v1/chat/completions/", "openai_chat"),
        ("https://api.openai.com/v1/completions", "openai_completions"),
        ("https://example.org/v1/other", None),
    ],
)
def test_a_body_that_says_nothing_is_detected_by_its_request(url: str, expected: str | None) -> None:
    found = detect(Transcript(b"", request=Request("POST", url)))
    assert expected == (None if found is None else found.name)


def test_the_dialect_that_a_transcript_names_is_taken_before_its_body() -> None:
    found = detect(Transcript(b"", dialect="openai_chat"))
    assert found is not None
    assert "openai_chat" == found.name
    assert detect(Transcript(weather(), dialect="no_such_dialect")) is None


# Cuts


def outcome(chunks: Iterable[bytes]) -> object:
    """Return the completion, or all that can be told of the error."""
    try:
        return accumulate(chunks)
    except DialectError as error:
        return type(error), str(error), getattr(error, "code", None), error.partial


@pytest.mark.parametrize(
    "body",
    [
        weather(),
        sse(delta(content="Grüße 🌍"), delta(content="\u2028"), finish(), DONE),
        sse(delta(content="a"), finish(), payload(usage={"total_tokens": 3}), DONE, "JUNK").replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + sse(delta(content="a"), b": ping\r\r", b"data:\r\n\r\n", finish()),
        sse(delta(content="a"), {"error": {"message": "boom", "code": 500}}, DONE),
        sse(delta(content="a"), '{"choices":', finish()),
        sse(delta(content="a"), b'data: {"choices":"\xff"}\n\n', finish()),
        sse(calls(call(id="a", name="f", arguments="{")), delta(content="x"))[:-1],
        b"data:{}\n\ndata:[DONE]",
    ],
)
def test_no_cut_changes_the_outcome(body: bytes) -> None:
    always(body, outcome)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
objects = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    st.dictionaries(st.text(max_size=4), json_values, max_size=3),
    st.booleans(),
    st.sampled_from([None, 1]),
)


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """Return the text in pieces, cut between any two UTF-16 units. Shrinks towards one piece."""
    units = text.encode("utf-16-le")
    cuts = sorted(draw(st.lists(st.integers(0, len(units) // 2), max_size=4)))
    ends = [0, *cuts, len(units) // 2]
    return [units[a * 2 : b * 2].decode("utf-16-le", "surrogatepass") for a, b in pairwise(ends)]


@st.composite
def answers(draw: st.DrawFn, index: int) -> tuple[tuple[str, list[str]], list[Json]]:
    """Return content and arguments of one choice, and the entries of `choices` that say so, calls interleaved."""
    content = draw(st.text())
    arguments = draw(st.lists(objects | st.just(""), max_size=3))
    queues: list[list[Json]] = [[{"content": piece} for piece in draw(pieces(content))]]
    for number, text in enumerate(arguments):
        opener = call(number, id=f"call_{number}", name="f", arguments="")
        fragments = [call(number, arguments=piece) for piece in draw(pieces(text))]
        queues.append([{"tool_calls": [entry]} for entry in (opener, *fragments)])
    entries = [choice(index, **fields) for fields in draw(merged(queues))]
    return (content, arguments), [*entries, choice(index, "tool_calls" if arguments else "stop")]


@st.composite
def merged(draw: st.DrawFn, queues: list[list[Json]]) -> list[Json]:
    """Return the items of all queues, each queue in its own order. Shrinks towards one queue after the other."""
    order = draw(st.permutations([n for n, queue in enumerate(queues) for _ in queue]))
    left = [iter(queue) for queue in queues]
    return [next(left[n]) for n in order]


@given(st.data())
def test_a_completion_survives_every_way_to_stream_it(data: st.DataObject) -> None:
    """Invariant: however deltas are split, interleaved and cut, content and arguments come out as they went in."""
    drawn = [data.draw(answers(index)) for index in range(data.draw(st.integers(1, 3)))]
    body = sse(*(payload(entry) for entry in data.draw(merged([entries for _, entries in drawn]))), DONE)
    size = data.draw(st.integers(1, len(body)))
    completion = accumulate([body[at : at + size] for at in range(0, len(body), size)])
    assert [expected for expected, _ in drawn] == [
        (part.content, [tool_call.arguments for tool_call in part.tool_calls]) for part in completion.choices
    ]
    assert all(tool_call.executable for part in completion.choices for tool_call in part.tool_calls)


# What accumulate raises


def broken(*events: Json | str | bytes) -> DialectError:
    """Return the error of a stream that begins with content and a call, and check what every such error promises."""
    begin = [delta(content="Hel"), calls(call(id="call_a", name="rm", arguments="{}"))]
    with pytest.raises(DialectError) as caught:
        read(*begin, *events)
    partial = caught.value.partial
    assert ("Hel", False, False) == (partial.content, partial.ended, partial.tool_calls[0].executable)
    return caught.value


@pytest.mark.parametrize("tail", [[], [DONE], [finish("tool_calls"), DONE]])
@pytest.mark.parametrize(
    ("event", "code", "message"),
    [
        ({"error": {"message": "Overloaded", "code": 529}}, 529, "Overloaded"),
        ({"error": {"message": "Overloaded", "type": "overloaded_error"}}, "overloaded_error", "Overloaded"),
        ({"error": {"message": "no", "code": None, "status": "UNAVAILABLE"}}, "UNAVAILABLE", "no"),
        ({"error": {"reason": "x"}}, None, '{"reason": "x"}'),
        ({"error": {"message": "no", "code": {"a": 1}}}, None, "no"),
        ({"error": "Overloaded"}, None, "Overloaded"),
        ({"type": "error", "code": "server_error", "message": "boom"}, "server_error", "boom"),
        ({"type": "error", "error": {"type": "api_error", "message": "boom"}}, "api_error", "boom"),
        ({"object": "error", "message": "boom", "code": 400}, 400, "boom"),  # vLLM
        (b'event: error\ndata: {"message":"boom"}\n\n', None, "boom"),
        (b'event: error\ndata: {"detail":"boom"}\n\n', None, "boom"),
        (payload(choice(0, "error"), error={"code": 502, "message": "bad gateway"}), 502, "bad gateway"),  # OpenRouter
        (payload({**choice(0, "error"), "error": {"code": 502, "message": "bad"}}), 502, "bad"),
    ],
)
def test_an_error_in_the_stream_is_a_provider_error_in_whatever_envelope(
    event: Json | bytes, code: object, message: str, tail: list[Json | str]
) -> None:  # openai/openai-python#2796, aaif-goose/goose#7663
    error = broken(event, *tail)
    assert isinstance(error, ProviderError)
    assert code == error.code
    assert str(error).startswith(f"the provider reported an error: {message}")


def test_an_error_as_the_first_event_is_a_provider_error() -> None:  # vercel/ai#10653
    with pytest.raises(ProviderError) as caught:
        read({"error": {"message": "boom", "code": "rate_limit_exceeded"}}, DONE)
    assert ("rate_limit_exceeded", ()) == (caught.value.code, caught.value.partial.choices)


def test_an_error_after_the_finish_reason_still_breaks_the_answer() -> None:
    with pytest.raises(ProviderError, match=r"an error: boom \(500\) \(event 2 at byte 393, \$\.error\)$") as caught:
        read(
            calls(call(id="a", name="rm", arguments="{}")),
            finish("tool_calls"),
            {"error": {"message": "boom", "code": 500}},
        )
    partial = caught.value.partial
    assert (False, False) == (partial.ended, partial.tool_calls[0].executable)


def test_an_empty_error_field_is_no_error() -> None:
    assert "a" == read(payload(choice(0, "stop", content="a"), error=None, type=None)).content


@pytest.mark.parametrize(
    "event",
    [
        '{"id":"c","choi',  # aaif-goose/goose#6309
        ": keepalive",  # anomalyco/opencode#50871
        "<html>502 Bad Gateway</html>",
        '["not", "an", "object"]',
        pytest.param("[" * 100_000, id="nested too deep"),
        b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n',  # openai/openai-python#2960
    ],
)
def test_data_that_is_not_json_or_not_utf8_is_a_payload_error(event: str | bytes) -> None:
    error = broken(event, finish(), DONE)
    assert isinstance(error, PayloadError)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    "event",
    [
        {"choices": {}},
        {"choices": "x"},
        {"choices": [5]},
        payload({"index": "0", "delta": {}}),
        payload({"index": 0.5, "delta": {}}),
        payload({"index": True, "delta": {}}),
        payload({"index": 0, "delta": "x"}),
        payload({"index": 0, "delta": {}, "finish_reason": {"type": "stop"}}),
        delta(role=1),
        delta(content=5),
        delta(content={"type": "text"}),
        delta(content=[5]),
        delta(refusal=["no"]),
        delta(function_call="f"),
        delta(function_call={"name": 1}),
        delta(function_call={"arguments": {}}),
        payload(usage=5),
    ],
)
def test_a_field_of_the_wrong_type_is_a_payload_error(event: Json) -> None:
    assert isinstance(broken(event, finish(), DONE), PayloadError)


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b": ping\n\n", b"<html>502</html>", b'{"error":{"message":"boom"}}\n', b"data: {}\n\n"]
)
def test_a_body_without_payloads_is_a_truncated_stream(body: bytes) -> None:  # stacklok/toolhive#6037
    what = "no choice came" if b"data" in body else "no event at all came"
    with pytest.raises(TruncatedStreamError, match=what) as caught:
        accumulate([body])
    assert () == caught.value.partial.choices


def test_an_event_without_its_blank_line_does_not_count() -> None:  # a2aproject/a2a-python#1216
    last = sse(finish())
    with pytest.raises(TruncatedStreamError, match=f"the last {len(last) - 1} bytes are an unfinished event"):
        accumulate([sse(delta(content="a")), last[:-1]])


WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "{}",
    "\ud83c",
    [],
    {},
    [None],
    [5],
    ["a"],
    [{}],
    {"a": 1},
    {"text": 5},
)


def rich() -> list[Json]:
    """Return payloads that hold every field that the dialect reads."""
    token = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
    custom = {"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": "i"}}
    fields: Json = {"content": "a", "refusal": "r", "reasoning": "z", "audio": {"id": "x", "data": "d"}}
    logprobs = {"content": [token], "refusal": None}
    function: Json = {"name": "f", "arguments": "{}"}
    return [
        payload(
            {**choice(role="assistant", **fields), "logprobs": logprobs, "content_filter_results": {"hate": {}}},
            usage={"total_tokens": 1},
            x_groq={"usage": {"total_tokens": 1}},
            system_fingerprint="fp",
            service_tier="default",
        ),
        delta(content=[{"type": "text", "text": "b"}, {"type": "image_url", "image_url": "x"}]),
        calls(call(id="a", type="function", **function, extra_content={"g": {"s": "x"}}), custom),
        calls(call(arguments="}"), function_call=function),
        payload({"index": 1, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}),
        payload({**choice(0, "tool_calls"), "usage": {"total_tokens": 2}}, error=None),
    ]


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterable[tuple[str | int, ...]]:
    """Yield the path of every value inside `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_wrong_value_anywhere_gives_a_completion_or_a_typed_error(wrong: Any) -> None:
    for *path, last in places(rich()):
        events: Any = rich()
        holder = events
        for key in path:
            holder = holder[key]
        holder[last] = wrong
        try:
            completion = read(*(event if isinstance(event, dict) else json.dumps(event) for event in events), DONE)
        except DialectError as error:
            completion = error.partial
            assert not completion.ended
            assert not any(tool_call.executable for part in completion.choices for tool_call in part.tool_calls)
        completion.to_openai(partial=True)
