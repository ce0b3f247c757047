"""Ollama: what the lines of chat and generate mean, however they end; and the way back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.delivery import always, drip

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.layout import Layout
from streamkit.dialects.ollama import Ollama, Reader
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError, UsageError
from streamkit.transcript import Request, Transcript

Json = dict[str, Any]
COUNTS: Json = {"total_duration": 9, "prompt_eval_count": 3, "eval_count": 2}


def line(done: bool = False, **fields: Any) -> Json:
    return {"model": "qwen3", "created_at": "2026-01-05T11:28:13Z", **fields, "done": done}


def chat(content: str = "", done: bool = False, **message: Any) -> Json:
    """Return a line of /api/chat."""
    return line(done, message={"role": "assistant", "content": content, **message})


def call(name: str, arguments: Any = None, **fields: Any) -> Json:
    function = {"name": name, **({"arguments": arguments} if arguments is not None else {})}
    return {**fields, "function": function}


def end(reason: str | None = "stop", /, **fields: Any) -> Json:
    return {**chat(done=True), **({"done_reason": reason} if reason is not None else {}), **fields}


def ndjson(*lines: Json | bytes) -> bytes:
    return b"".join(
        one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in lines
    )


def read(chunks: Iterable[bytes]) -> Completion:
    reader = Reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()


def outcome(chunks: Iterable[bytes]) -> Any:
    """Return the completion, or what is to be seen of the error."""
    try:
        return read(chunks)
    except DialectError as error:
        return type(error).__name__, str(error), error.partial


ANSWER = [
    chat(thinking="Hm"),
    chat("Grüße "),
    chat("🌤"),
    chat(tool_calls=[call("f", {"b": [1.5], "a": "ü"}, id="c1")]),
    end(**COUNTS),
]


def test_an_answer_of_chat_is_the_same_in_every_delivery() -> None:
    expected = Completion(
        choices=(
            Choice(
                index=0,
                content="Grüße 🌤",
                reasoning="Hm",
                tool_calls=(ToolCall("c1", "f", '{"b":[1.5],"a":"ü"}'),),
                finish_reason="stop",
            ),
        ),
        usage=COUNTS,
        model="qwen3",
        ended=True,
        extra={"created_at": "2026-01-05T11:28:13Z"},
    )
    assert expected == always(ndjson(*ANSWER), read, scan=0)
    assert expected == read([ndjson(*ANSWER).replace(b"\n", b"\r\n\r\n")])
    assert expected == read([ndjson(*ANSWER)[:-1]])  # the last line may lack its end


def test_generate_sends_no_message() -> None:
    body = ndjson(line(thinking="Hm"), line(response="Hel"), line(response="lo"),
                  line(True, response="", done_reason="stop", context=[1, 2], **COUNTS))  # fmt: skip
    completion = read([body])
    assert ("Hello", "Hm") == (completion.content, completion.choices[0].reasoning)
    assert ({"created_at": "2026-01-05T11:28:13Z", "context": [1, 2]}, COUNTS) == (completion.extra, completion.usage)


# The end


def test_no_beginning_of_a_stream_looks_finished() -> None:
    body = ndjson(*ANSWER)
    for at in range(len(body) - 1):
        with pytest.raises(TruncatedStreamError) as caught:
            read([body[:at]])
        partial = caught.value.partial
        assert not partial.ended, at
        assert None is partial.finish_reason, at
        assert not any(one.executable for one in partial.tool_calls), at


def test_the_error_of_a_cut_stream_says_where_it_was_cut() -> None:
    with pytest.raises(TruncatedStreamError, match="no line came"):
        read([b""])
    with pytest.raises(TruncatedStreamError, match="no line with done: true came, and the last 4 bytes are an unfin"):
        read([ndjson(chat("a"), b'{"mo')])


def test_done_without_a_reason_is_done() -> None:
    # Servers before 0.1.38 send no done_reason.
    completion = read([ndjson(chat(tool_calls=[call("f", {})]), end(None))])
    assert (None, True) == (completion.finish_reason, completion.tool_calls[0].executable)


@pytest.mark.parametrize("reason", ["length", "load", "unload", "something_new"])
def test_a_call_is_executable_after_stop_and_no_other_reason(reason: str) -> None:
    tool_call = read([ndjson(chat(tool_calls=[call("f", {})]), end(reason))]).tool_calls[0]
    assert f"the answer did not end by itself (done_reason {reason})" == tool_call.problem


def test_a_call_in_the_last_line_is_a_call() -> None:
    # QuantumNous/new-api#7252, kooshi/llama-swappo#13
    last = {**chat(done=True, tool_calls=[call("f", {"a": 1})]), "done_reason": "tool_calls"}
    assert {"a": 1} == read([ndjson(last)]).tool_calls[0].parsed()


@pytest.mark.parametrize("late", [ndjson(chat("more")), ndjson(end()), b"x\n", b"{}\n", b'{"mo', b'{"done":true}'])
def test_nothing_may_follow_the_last_line(late: bytes) -> None:
    kind, _, partial = always(ndjson(end(), late), outcome, scan=0)
    assert ("PayloadError", False) == (kind, partial.ended)


def test_blank_lines_may_stand_anywhere() -> None:
    body = ndjson(*ANSWER).replace(b"\n", b"\n \r\n\n")
    assert read([ndjson(*ANSWER)]) == read([b"\n" + body])


# Errors


@pytest.mark.parametrize(
    "body",
    [
        ndjson(chat("Hel"), {"error": "boom"}),
        ndjson(chat("Hel"), {"error": "boom"})[:-1],
        ndjson(chat("Hel"), {"error": {"message": "boom", "code": 500}}),
        ndjson(chat("Hel"), {"StatusCode": 502, "error": "boom"}),
        ndjson(chat("Hel"), end(), {"error": "boom"}),
        ndjson({**chat("Hel", True), "error": "boom"}),
    ],
)
def test_a_line_with_an_error_is_the_providers(body: bytes) -> None:
    kind, message, partial = always(body, outcome, scan=0)
    assert "ProviderError" == kind
    assert "boom" in message
    assert not partial.ended


@pytest.mark.parametrize(
    "bad",
    [
        b"x\n",
        b"[]\n",
        b'"a"\n',
        b'{"message":"\xff"}\n',
        b'{"done":false,"x":NaN}\n',
        b'{"done":false,"x":' + b"[" * 250 + b"]" * 250 + b"}\n",
        b'{"done":false,"x":' + b"[" * 100_000 + b"\n",
        b'{"done":false,"x":' + b"1" * 5000 + b"}\n",
        ndjson({"status": "pulling manifest"}),
        ndjson({}),
        ndjson({"done": "true", "message": {}}),
        ndjson(line(message="text")),
        ndjson(line(message={"content": 1})),
        ndjson(line(message={"role": 1})),
        ndjson(chat(thinking=[])),
        ndjson(chat(tool_calls={})),
        ndjson(chat(tool_calls=["f"])),
        ndjson(chat(tool_calls=[{"function": "f"}])),
        ndjson(chat(tool_calls=[call("f", [1])])),
        ndjson(chat(tool_calls=[{"function": {"name": 1}}])),
        ndjson(chat(tool_calls=[{"id": 1, "function": {"name": "f"}}])),
        ndjson(chat(tool_calls=[{"function": {"name": "f", "index": "0"}}])),
        ndjson(line(response=1)),
        ndjson(line(response="", done_reason=1)),
        ndjson(line(response="", logprobs={})),
        ndjson(line(response="", model=1)),
    ],
)
def test_what_is_no_line_is_a_typed_error_in_every_delivery(bad: bytes) -> None:
    body = ndjson(chat("Hel"), bad, end())
    for chunks in [[body]] if len(body) > 50_000 else [[body], drip(body)]:
        with pytest.raises(PayloadError) as caught:
            read(chunks)
        assert ("Hel", False) == (caught.value.partial.content, caught.value.partial.ended)


def test_an_error_stays_whatever_comes_after_it() -> None:
    reader = Reader()
    with pytest.raises(ProviderError):
        reader.feed(ndjson(chat("a"), {"error": "boom"}))
    with pytest.raises(ProviderError):
        reader.feed(ndjson(end()))
    reader.close()
    reader.close()
    with pytest.raises(ProviderError):
        reader.result()
    assert not reader.snapshot().ended


@settings(max_examples=200)
@given(st.binary(max_size=60), st.integers(0, 700))
def test_damaged_bytes_give_a_completion_or_a_typed_error(noise: bytes, at: int) -> None:
    # Invariant: nothing but typed errors, and the same outcome byte by byte.
    body = ndjson(*ANSWER)
    damaged = body[:at] + noise + body[at + len(noise) :]
    assert outcome([damaged]) == outcome(drip(damaged))


# Fields


def test_each_entry_is_a_call_of_its_own_whatever_its_index() -> None:
    body = ndjson(
        chat(tool_calls=[call("f", {"a": 1}), call("f", {"a": 1})]),
        chat(tool_calls=[{"id": "x", "type": "function", "new": 1, "function": {"index": 0, "name": "g", "more": 2}}]),
        chat(tool_calls=[{"function": {"index": 0, "name": "h", "arguments": {}}}]),
        end(),
    )
    calls = read([body]).tool_calls
    assert [("f", '{"a":1}', None), ("f", '{"a":1}', None), ("g", "", 0), ("h", "{}", 0)] == [
        (one.name, one.arguments, one.index) for one in calls
    ]
    assert ("x", {"new": 1, "function": {"more": 2}}) == (calls[2].id, calls[2].extra)
    assert all(one.executable for one in calls)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [(call("", {}), "it has no name"), (call("f", "{"), "not JSON"), (call("f", "[]"), "no object"), ({}, "no name")],
)
def test_a_call_that_is_not_whole_has_a_problem(entry: Json, problem: str) -> None:
    assert problem in str(read([ndjson(chat(tool_calls=[entry]), end())]).tool_calls[0].problem)


def test_arguments_as_text_are_taken_as_they_are() -> None:
    assert {"a": 1} == read([ndjson(chat(tool_calls=[call("f", '{ "a":1}')]), end())]).tool_calls[0].parsed()


def test_what_is_new_is_kept() -> None:
    body = ndjson(
        {**chat("a", images=["x"], note="n1"), "remote_model": "m", "logprobs": [{"token": "a"}]},
        {**chat("b", images=["y"], note="n2"), "logprobs": [{"token": "b"}]},
        end(load_duration=None),
    )
    completion = read([body])
    choice = completion.choices[0]
    assert ({"images": ["x", "y"], "note": "n1n2"}, "m") == (choice.extra, completion.extra["remote_model"])
    assert {"content": [{"token": "a"}, {"token": "b"}]} == choice.logprobs
    assert None is completion.usage


def test_surrogate_halves_in_two_lines_are_one_character() -> None:
    body = b'{"response":"\\ud83d","done":false}\n{"response":"\\ude00","done":true}\n'
    assert "😀" == read([body]).content
    alone = read(
        [ndjson(chat(tool_calls=[call("f", {})]), end()).replace(b'"arguments": {}', b'"arguments": {"a":"\\ud83d"}')]
    )
    assert '{"a":"\ufffd"}' == alone.tool_calls[0].arguments


def test_a_reader_can_be_copied_anywhere() -> None:
    body = ndjson(*ANSWER)
    expected = read([body])
    for at in range(len(body)):
        reader = Reader()
        reader.feed(body[:at])
        other = copy.deepcopy(reader)
        with suppress(PayloadError):
            reader.feed(b"\n\n")
        other.feed(body[at:])
        other.close()
        assert expected == other.result()


# Detection


def asked(path: str, body: bytes) -> bool:
    return Ollama().detect(Transcript(body, request=Request("POST", f"http://localhost:11434{path}")))


def test_its_lines_are_detected() -> None:
    for body in (ndjson(*ANSWER), ndjson(line(response="a")), ndjson(end())[:-1], b"\r\n" + ndjson(*ANSWER)):
        assert Ollama().detect(Transcript(body))
        assert asked("/anything", body)
    assert asked("/api/chat", ndjson({"error": "model not found"}))
    assert asked("/api/generate?x=1", b"")


@pytest.mark.parametrize(
    "body",
    [b"", b"x\n", b"data: {}\n\n", b"[]\n", ndjson({"status": "success"}), ndjson({"done": True}),
     ndjson({"error": "x"}), ndjson({"done": False, "message": "text"}), b'{"done":false,"message":{}',
     ndjson({"type": "text", "message": {}})],
)  # fmt: skip
def test_other_streams_are_not_detected(body: bytes) -> None:
    assert not Ollama().detect(Transcript(body))


def test_a_path_that_others_use_too_is_not_enough() -> None:
    assert not asked("/api/chat", b'data: {"id":"1"}\n\n')
    assert not asked("/api/chat", ndjson({"type": "text-delta", "delta": "a"}))


# The way back

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
LAYOUTS = st.builds(
    Layout,
    token_size=st.integers(1, 9),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    chunk=st.sampled_from(["event", "whole"]),
)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    reason = draw(st.sampled_from(["stop", "length", None]))
    problem = "the answer did not end by itself (done_reason length)" if reason == "length" else None
    objects = st.dictionaries(NAMES, VALUES, max_size=3)
    entries = st.tuples(st.none() | NAMES, NAMES, st.none() | objects, st.none() | st.integers(0, 3), st.booleans())
    calls = [
        ToolCall(
            identity,
            name,
            "" if args is None else json.dumps(args, ensure_ascii=False, separators=(",", ":")),
            index=index,
            problem=problem,
            extra={"new": 1, "function": {"more": [2]}} if extra else {},
        )
        for identity, name, args, index, extra in draw(st.lists(entries, max_size=3))
    ]
    choice = Choice(
        index=0,
        role=draw(st.sampled_from(["assistant", "tool"])),
        content=draw(st.none() | TEXTS),
        reasoning=draw(st.none() | TEXTS),
        tool_calls=tuple(calls),
        finish_reason=reason,
        logprobs=draw(st.none() | st.just({"content": [{"token": "a", "logprob": -0.5}]})),
        extra=draw(st.sampled_from([{}, {"images": ["x"]}])),
    )
    usage = draw(st.none() | st.dictionaries(st.sampled_from(sorted(COUNTS)), st.integers(), min_size=1))
    extra: Json = draw(
        st.sampled_from([{}, {"created_at": "t"}, {"created_at": "t", "context": [1], "remote_host": "h"}])
    )
    return Completion((choice,), usage, model=draw(st.none() | NAMES), ended=True, extra=extra)


@given(completions(), LAYOUTS)
def test_what_is_emitted_reads_back_as_the_very_completion(made: Completion, layout: Layout) -> None:
    # Invariant: accumulate(emit(c)) == c, and the transcript is detected.
    transcript = Ollama().emit(made, layout)
    assert made == read(chunk.data for chunk in transcript.chunks)
    assert (True, "ollama") == (transcript.synthetic, transcript.dialect)
    assert Ollama().detect(Transcript(transcript.body))


def test_lines_are_written_as_ollama_writes_them() -> None:
    tool_call = ToolCall("c1", "f", '{"a":1}', index=0)
    choice = Choice(0, content="Hello", reasoning="Hm", tool_calls=(tool_call,), finish_reason="stop")
    made = Completion((choice,), usage=COUNTS, model="m", ended=True, extra={"created_at": "t"})
    head = '{"model":"m","created_at":"t","message":{"role":"assistant",'
    assert [
        head + '"content":"","thinking":"Hm"},"done":false}',
        head + '"content":"Hell"},"done":false}',
        head + '"content":"o"},"done":false}',
        head + '"content":"","tool_calls":[{"id":"c1","function":{"index":0,"name":"f","arguments":{"a":1}}}]},'
        '"done":false}',
        head + '"content":""},"done":true,"done_reason":"stop","total_duration":9,"prompt_eval_count":3,'
        '"eval_count":2}',
    ] == Ollama().emit(made, Layout()).body.decode().splitlines()


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (Completion(), "0 choices"),
        (Completion((Choice(0), Choice(1)), ended=True), "2 choices"),
        (Completion((Choice(0, content="a"),)), "its ended"),
        (Completion((Choice(1, content="a"),), ended=True), "its index"),
        (Completion((Choice(0, refusal="a"),), ended=True), "its refusal"),
        (Completion((Choice(0),), id="x", ended=True), "its id"),
        (Completion((Choice(0),), usage={}, ended=True), "its usage"),
        (Completion((Choice(0),), usage={"tokens": 1}, ended=True), "its usage"),
        (Completion((Choice(0),), usage={"done": False}, ended=True), "no line with done"),
        (Completion((Choice(0, tool_calls=(ToolCall("1", "f", "{ }"),)),), ended=True), "its tool_calls"),
        (Completion((Choice(0, content="\ud83d"),), ended=True), "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_carried_is_named(made: Completion, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Ollama().emit(made, Layout())
