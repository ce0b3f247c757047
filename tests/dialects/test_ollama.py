"""Ollama: what the lines of chat and generate mean, however they end."""

from __future__ import annotations

import copy
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.delivery import always, drip
from skhelpers.ollama_lines import ANSWER, COUNTS, Json, call, chat, end, line, ndjson, outcome, read

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.ollama import Ollama, Reader
from streamkit.errors import PayloadError, ProviderError, TruncatedStreamError
from streamkit.transcript import Request, Transcript


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
