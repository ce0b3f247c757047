"""What a stream of chat completion payloads adds up to, and when it counts as finished. Tool calls: the next file."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from skhelpers.chat import DONE, Json, call, calls, choice, delta, finish, payload, read, sse, weather

from streamkit.dialects import accumulate
from streamkit.dialects.openai_chat import Reader
from streamkit.errors import PayloadError, TruncatedStreamError

USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}


# Text


def test_content_deltas_are_joined() -> None:
    completion = read(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), finish(), DONE)
    assert ("Hello", "stop", True) == (completion.content, completion.finish_reason, completion.ended)


@pytest.mark.parametrize(("deltas", "expected"), [([{}], None), ([{"content": None}], None), ([{"content": ""}], "")])
def test_content_never_sent_and_empty_content_differ(deltas: list[Json], expected: str | None) -> None:
    assert expected == read(*(delta(**fields) for fields in deltas), finish()).content


def test_refusal_deltas_are_joined_and_are_no_content() -> None:
    completion = read(delta(refusal="I can"), delta(refusal="not"), finish())
    assert ("I cannot", None) == (completion.choices[0].refusal, completion.content)


def test_the_delta_of_the_finishing_payload_counts() -> None:  # vllm-project/vllm#36944
    assert "Hi!" == read(delta(content="Hi"), payload(choice(0, "stop", content="!"))).content


def test_content_that_repeats_itself_is_kept() -> None:  # MiniMax-AI/MiniMax-M2#95
    assert "HelHello" == read(delta(content="Hel"), delta(content="Hello"), finish()).content


def test_tags_in_content_are_left_alone() -> None:
    assert "<think>hm</think>4" == read(delta(content="<thi"), delta(content="nk>hm</think>4"), finish()).content


@pytest.mark.parametrize("role", [{}, {"role": None}, {"role": ""}, {"role": "assistant"}])
def test_role_is_assistant_however_often_it_is_sent(role: Json) -> None:  # BerriAI/litellm#9986, vercel/ai#16530
    completion = read(delta(**role, content="a"), delta(**role, content="b"), finish())
    assert ("assistant", "ab") == (completion.choices[0].role, completion.content)


def test_the_first_role_that_the_server_gives_counts() -> None:
    assert "tool" == read(delta(role="tool", content="a"), delta(role="assistant"), finish()).choices[0].role


@pytest.mark.parametrize("data", ['{"content":"\\ud83c\\udf0d"}', '{"content":"🌍"}', '{"content": "\\uD83C\\uDF0D" }'])
def test_escaped_and_raw_characters_are_the_same(data: str) -> None:
    assert "🌍" == read('{"choices":[{"index":0,"delta":' + data + "}]}", DONE).content


def test_surrogate_halves_of_two_deltas_are_paired() -> None:  # elizaOS/eliza#30904
    assert "a🌍b" == read(delta(content="a\ud83c"), delta(content="\udf0db"), finish()).content


def test_a_surrogate_half_without_its_partner_is_replaced() -> None:
    assert "a\ufffdb" == read(delta(content="a\ud83c"), delta(content="b"), finish()).content


def test_line_separators_in_content_survive() -> None:
    assert "a\u2028b\u2029c\x85d" == read(delta(content="a\u2028b"), delta(content="\u2029c\x85d"), finish()).content


# Reasoning


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_text", "thinking"])
def test_reasoning_is_kept_apart_from_content(name: str) -> None:
    completion = read(delta(**{name: "be"}), delta(**{name: "cause"}), delta(content="4"), finish())
    assert ("because", "4") == (completion.choices[0].reasoning, completion.content)


def test_reasoning_under_two_names_is_taken_once() -> None:  # AnswerDotAI/fastllm#61
    details = [{"type": "reasoning.text", "text": "hm", "index": 0}]
    completion = read(delta(reasoning="hm", reasoning_content="hm", reasoning_details=details), finish())
    assert "hm" == completion.choices[0].reasoning


def test_reasoning_that_is_no_text_is_kept_as_it_came() -> None:
    part = read(delta(reasoning={"effort": "low"}, thinking=True), finish()).choices[0]
    assert (None, {"reasoning": {"effort": "low"}, "thinking": True}) == (part.reasoning, part.extra)


def test_reasoning_details_are_reasoning_where_nothing_else_is() -> None:
    parts = [[{"type": "reasoning.summary", "summary": "a"}], [{"type": "reasoning.text", "text": "b"}]]
    completion = read(*(delta(reasoning_details=part) for part in parts), finish())
    assert "ab" == completion.choices[0].reasoning


def test_reasoning_details_are_kept_whole_too() -> None:
    sealed = {"type": "reasoning.encrypted", "data": "EvUD", "id": "tool_weather"}
    details = [[sealed], [], [None, "x"]]
    completion = read(delta(reasoning="a"), *(delta(reasoning_details=part) for part in details), finish())
    assert {"reasoning_details": [sealed, None, "x"]} == completion.choices[0].extra


@pytest.mark.parametrize(
    ("thought", "source"),
    [
        ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True}, "mistral"),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, "databricks"),
        ({"type": "thinking", "thinking": "hm"}, "text"),
        ({"type": "thinking", "thinking": ["hm", {"type": "reference"}]}, "list of text"),
        ({"type": "reasoning", "text": "hm"}, "plain"),
    ],
)
def test_content_in_parts_is_text_and_reasoning(thought: Json, source: str) -> None:  # simonw/llm-mistral#39
    parts = [thought, {"type": "thinking"}, {"type": "text", "text": "1"}]
    completion = read(delta(content=parts), delta(content="44"), finish())
    assert ("hm", "144") == (completion.choices[0].reasoning, completion.content), source


def test_content_parts_of_other_kinds_are_kept_as_they_came() -> None:
    others = [{"type": "image_url", "image_url": "data:image/png;base64,AA=="}, {"type": "reference", "text": "[1]"}]
    completion = read(delta(content=["a", *others]), finish())
    assert ("a", {"content_parts": others}) == (completion.content, completion.choices[0].extra)


# Choices


def test_interleaved_choices_are_kept_apart() -> None:  # BerriAI/litellm#35793
    completion = read(
        payload(choice(1, content="B")),
        payload(choice(0, content="A"), choice(1, content="b")),
        payload(choice(0, content="a"), choice(0, content="!")),
        payload(choice(1, "length"), choice(0, "stop")),
    )
    assert [(0, "Aa!", "stop"), (1, "Bb", "length")] == [
        (part.index, part.content, part.finish_reason) for part in completion.choices
    ]


def test_a_stream_is_finished_when_all_its_choices_are() -> None:
    body = sse(payload(choice(0, content="a"), choice(1, content="b")), finish("stop", 0))
    with pytest.raises(TruncatedStreamError) as caught:
        accumulate([body])
    assert [("a", "stop"), ("b", None)] == [(part.content, part.finish_reason) for part in caught.value.partial.choices]
    assert accumulate([body, sse(finish("stop", 1))]).ended


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ([None, "stop"], "stop"),
        (["", "", "stop"], "stop"),  # ollama/ollama#4357
        (["stop", "stop", "stop"], "stop"),  # su-kaka/gcli2api#403
        (["tool_calls", "stop"], "tool_calls"),  # RayBytes/ChatMock#114
        (["stop", None], "stop"),
        ([None, None], None),  # openai/openai-node#1292
        (["eos"], "eos"),
    ],
)
def test_the_first_finish_reason_that_is_given_counts(reasons: list[str | None], expected: str | None) -> None:
    completion = read(*(payload(choice(0, reason, content="a")) for reason in reasons), DONE)
    assert (expected, "a" * len(reasons), True) == (completion.finish_reason, completion.content, completion.ended)


def test_logprobs_hold_each_token_once() -> None:  # openai/openai-ruby#564
    def token(text: str) -> Json:
        return {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": []}

    parts: list[Json | None] = [{"content": [token("a")], "refusal": None}, None, {"content": [token("b")]}]
    late: Json = {"index": 1, "delta": {"refusal": "no"}, "logprobs": {"content": None, "refusal": [token("no")]}}
    first = [payload({"index": 0, "delta": {"content": "x"}, "logprobs": part}) for part in parts]
    completion = read(*first, payload(late), finish(), finish(index=1))
    assert [{"content": [token("a"), token("b")]}, {"refusal": [token("no")]}] == [
        part.logprobs for part in completion.choices
    ]


def test_what_else_comes_with_logprobs_is_kept() -> None:
    logprobs: Json = {"content": [], "refusal": None, "text_offset": 5}
    part = read(payload({"index": 0, "delta": {}, "logprobs": logprobs}), finish()).choices[0]
    assert ({"content": []}, {"logprobs.text_offset": 5}) == (part.logprobs, part.extra)


def test_without_logprobs_there_are_none() -> None:
    assert read(payload({"index": 0, "delta": {}, "logprobs": None}), finish()).choices[0].logprobs is None


def test_a_legacy_function_call_is_joined() -> None:  # run-llama/llama_index#18313
    completion = read(
        delta(role="assistant", content=None, function_call={"name": "get_weather", "arguments": ""}),
        delta(function_call={"arguments": '{"city": '}),
        delta(function_call={"arguments": '"Paris"}'}),
        finish("function_call"),
    )
    function = completion.choices[0].function_call
    assert function is not None
    assert ("get_weather", '{"city": "Paris"}', True) == (function.name, function.arguments, function.executable)


@pytest.mark.parametrize(
    ("pieces", "reason", "problem"),
    [
        ([{"name": "f", "arguments": '{"a'}], "function_call", "its arguments are not JSON"),
        ([{"name": "f"}], "length", "the answer was cut off"),
        ([{"arguments": "{}"}], "function_call", "it has no name"),
    ],
)
def test_a_legacy_function_call_that_is_not_whole_says_why(pieces: list[Json], reason: str, problem: str) -> None:
    function = read(*(delta(function_call=piece) for piece in pieces), finish(reason)).choices[0].function_call
    assert function is not None
    assert (False, True) == (function.executable, (function.problem or "").startswith(problem))


def test_a_whole_message_in_one_payload_is_the_answer() -> None:
    message = {"role": "assistant", "content": "Hi"}
    assert "Hi" == read(payload({"index": 0, "message": message, "finish_reason": "stop"})).content


def test_a_message_beside_the_deltas_is_not_added_to_them() -> None:  # Perplexity sends the text so far
    def both(text: str, so_far: str) -> Json:
        return payload({"index": 0, "delta": {"content": text}, "message": {"content": so_far}})

    last = {"role": "assistant", "content": "AB", "tool_calls": [call(id="call_a", name="F", arguments="{}")]}
    whole = payload({"index": 0, "message": last, "finish_reason": "stop"})
    answer = read(both("a", "A"), both("b", "AB"), whole)
    assert ("ab", ()) == (answer.content, answer.tool_calls)
    assert ["f"] == [made.name for made in read(calls(call(id="call_a", name="f")), whole).tool_calls]


# Usage and the facts of the whole completion


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([finish(), payload(usage=USAGE)], USAGE),
        ([payload(choice(0, "stop"), usage=USAGE)], USAGE),  # microsoft/autogen#4875
        ([payload(choice(content="a"), usage={"total_tokens": 11}), payload(choice(0, "stop"), usage=USAGE)], USAGE),
        ([payload(choice(0, "stop"), usage=USAGE), payload(usage=None)], USAGE),  # langfuse/langfuse-python#1648
        ([payload(choice(0, "stop"), usage=USAGE), payload(usage={})], USAGE),
        ([payload(choice(0, "stop"), usage={})], {}),  # zed-industries/zed#42893
        ([payload(choice(0, "stop"), usage={"total_characters": 5})], {"total_characters": 5}),
        ([payload(choice(0, "stop"), usage=None)], None),
        ([payload(choice(0, "stop"), usage=[])], None),
        ([finish()], None),
        ([finish(), {"choices": None, "usage": USAGE}], USAGE),  # cline/cline#8384
        ([finish(), {"usage": USAGE}], USAGE),
        ([payload({**choice(0, "stop"), "usage": USAGE})], USAGE),  # Moonshot
    ],
)
def test_usage_is_the_last_one_given(events: list[Json], expected: Json | None) -> None:
    assert expected == read(*events, DONE).usage


def test_usage_of_groq_is_found_and_its_field_kept() -> None:
    extra: Json = {"x_groq": {"id": "req_1", "usage": USAGE}, "x_other": {"usage": {"total_tokens": 1}}}
    completion = read(payload(choice(0, "stop"), **extra))
    assert (USAGE, extra) == (completion.usage, completion.extra)


def test_identity_is_the_first_that_is_not_empty() -> None:  # microsoft/foundry-local#144
    empty: Json = {"id": "", "created": 0, "model": "", "system_fingerprint": None, "service_tier": ""}
    given: Json = {"id": "c1", "created": 7, "model": "m1", "system_fingerprint": "fp_1", "service_tier": "default"}
    other: Json = {"id": "c2", "created": 8, "model": "m2", "system_fingerprint": "fp_2", "service_tier": "flex"}
    only = {"object": "chat.completion.chunk", **given}
    completion = read(payload(choice(content="a"), **empty), only, payload(choice(content="a"), **other), finish())
    assert given == {name: getattr(completion, name) for name in given}


def test_unknown_fields_are_kept_and_change_nothing_else() -> None:
    strange = [{"a": 1}]
    entry: Json = {**choice(0, "stop", content="a", x_list=strange, x_null=None), "x_choice": 1, "x_null": None}
    completion = read(payload(entry, x_payload=strange, x_null=None, obfuscation="zzz"))
    assert ("a", {"x_payload": strange}) == (completion.content, completion.extra)
    assert {"x_list": strange, "x_choice": 1} == completion.choices[0].extra


def test_a_field_of_the_provider_that_comes_in_pieces_is_joined() -> None:  # openai/openai-node#1206
    sounds = [{"id": "audio_1", "data": "AA"}, {"id": "audio_1", "data": "BB", "expires_at": 5}, {"transcript": None}]
    completion = read(*(delta(audio=sound) for sound in sounds), DONE)
    assert {"audio": {"id": "audio_1", "data": "AABB", "expires_at": 5}} == completion.choices[0].extra


# Azure


def test_the_prompt_filter_payload_of_azure_has_no_effect_on_the_message() -> None:  # pydantic/pydantic-ai#164
    results = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]
    preamble = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": results}
    plain = read(delta(content="a"), finish(), DONE)
    completion = read(preamble, delta(content="a"), finish(), DONE)
    assert plain.choices == completion.choices
    assert (plain.id, {"prompt_filter_results": results}) == (completion.id, completion.extra)


@pytest.mark.parametrize("missing", [{}, {"delta": None}])
def test_a_choice_of_azure_without_delta_has_no_effect_on_the_message(missing: Json) -> None:  # openai-node#1982
    verdict = {"error": {"code": "content_filter_error", "message": "The contents are not filtered"}}
    noise: Json = {
        "id": "",
        "object": "",
        "choices": [{"index": 0, "finish_reason": None, "content_filter_results": verdict, **missing}],
    }
    completion = read(delta(content="a"), noise, delta(content="b"), finish(), noise, DONE)
    assert ("ab", "stop") == (completion.content, completion.finish_reason)
    assert {"content_filter_results": verdict} == completion.choices[0].extra


@pytest.mark.parametrize("nothing", [{"choices": None}, {"choices": [{}]}, {"choices": [None]}, {"choices": []}])
def test_a_payload_without_choices_changes_nothing(nothing: Json) -> None:
    plain = read(delta(content="a"), finish())
    assert plain == read(delta(content="a"), {"object": "chat.completion.chunk", **nothing}, finish())


# What is no payload


@pytest.mark.parametrize("done", [DONE, "[DONE] ", b"data:[DONE]\n\n", b"event: done\ndata: [DONE]\n\n"])
@pytest.mark.parametrize("reason", [None, "stop"])
def test_done_is_the_end_with_or_without_a_finish_reason(done: str | bytes, reason: str | None) -> None:
    completion = read(payload(choice(0, reason, content="a")), done)
    assert ("a", reason, True) == (completion.content, completion.finish_reason, completion.ended)


def test_a_finish_reason_is_the_end_without_done() -> None:  # lidge-jun/opencodex#1170
    assert read(delta(content="a"), finish()).ended


def test_what_follows_done_is_ignored() -> None:
    plain = read(delta(content="a"), finish(), DONE)
    assert plain == read(delta(content="a"), finish(), DONE, delta(content="JUNK"), "not JSON", {"error": "x"}, DONE)


@pytest.mark.parametrize("spelling", ["DONE", "[done]", '"[DONE]"', "[DONE", "null", "[]", "5"])
def test_data_that_is_neither_an_object_nor_done_is_a_payload_error(spelling: str) -> None:
    with pytest.raises(PayloadError):
        read(delta(content="a"), finish(), spelling)


def test_events_that_are_not_of_the_api_are_ignored() -> None:  # openai/openai-node#1964
    foreign: list[Json | bytes] = [
        b"event: ping\ndata: {}\n\n",
        {"type": "ping"},
        b"event: keepalive\ndata: {}\n\n",
        b": OPENROUTER PROCESSING\n\n",
        b"retry: 3000\n\n",
        b"data:\n\n",  # omnigent-ai/omnigent#1474
        b"data:  \n\n",
        b"id: 7\n\n",
    ]
    assert read(delta(content="a"), finish()) == read(*foreign, delta(content="a"), *foreign, finish(), *foreign)


def test_a_payload_may_be_written_in_any_way_that_json_allows() -> None:
    text = json.dumps(delta(content="a"), indent=1, sort_keys=True)
    lines = b"".join(b"data:" + line.encode() + b"\r\n" for line in text.splitlines()) + b"\r\n"
    assert read(delta(content="a"), finish()) == read(lines, finish())


# The reader


def test_a_copy_of_a_reader_continues_on_its_own() -> None:
    body = weather()
    for cut in range(0, len(body), 7):
        reader = Reader()
        reader.feed(body[:cut])
        twin = copy.deepcopy(reader)
        before = twin.snapshot()
        reader.feed(body[cut:])
        assert before == twin.snapshot()
        twin.feed(body[cut:])
        assert accumulate([body]) == reader.result() == twin.result()


def test_a_snapshot_shows_what_there_is_and_does_not_change_afterwards() -> None:
    reader = Reader()
    reader.feed(sse(delta(content="Hel", logprob=1)))
    early = reader.snapshot()
    reader.feed(sse(delta(content="lo"), finish()))
    assert ("Hel", False) == (early.content, early.ended)
    assert ("Hello", True) == (reader.snapshot().content, reader.snapshot().ended)


def test_what_is_given_to_a_reader_must_be_bytes() -> None:
    text: Any = "data: {}"
    with pytest.raises(TypeError, match="bytes"):
        Reader().feed(text)
