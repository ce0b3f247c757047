"""Mutations of Ollama, Cohere and legacy completions that put in what an answer had not, or leave out what it had.

The shapes are those of Chat Completions, as far as these APIs can have them: thinking, another call, calls without
arguments or with half of them, ends without a reason. Source: each API's reference, and the reports named in each
entry.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.mutations.expected import first_choice, need
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.spoken import traced

if TYPE_CHECKING:
    from streamkit.completion import Choice, Completion
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_OLLAMA = "docs.ollama.com/api: chat"
_COHERE = "Cohere API reference: Chat with streaming (v2)"
_COMPLETIONS = "platform.openai.com/docs/api-reference/completions"
_THOUGHTS = ("I should look ", "at the weather 🤔.")

_Json = dict[str, Any]


# -- any of several dialects


@mutation(
    "unknown_fields_of_events", Class.PRESERVING, Layer.JSON, "adds fields that nobody knows",
    right="ignores them or passes them on; the answer is the same",
    sources=["zed-industries/zed#42893", "64bit/async-openai#548"],
    dialects=("anthropic_messages", "gemini", "ollama", "cohere_v2", "openai_completions"),
)  # fmt: skip
def unknown_fields_of_events(stream: Stream, choose: Choose) -> Edit:
    """Add a list, an object or a number to the first payload, to the one in the middle, or to all."""
    value = choose.of([[{"a": 1}], {"a": {"b": None}}, 7])
    found = need([number for number, _ in stream.payloads], "payload")
    numbers = choose.of([found, found[:1], found[len(found) // 2 :][:1]])
    if b"x_unknown" in stream.body():
        raise Inapplicable("it was done before")
    edited = stream
    for number in numbers:
        payload = {**stream.events[number].payload, "x_unknown": value}
        edited = edited.replaced(number, stream.events[number].with_data(stream.manner.json(payload)))
    said = f"an unknown field in {len(numbers)} payloads"
    return Edit(edited, said, tuple(numbers), tuple(numbers), traced(edited))


# -- Ollama


def _lines(stream: Stream) -> list[tuple[int, _Json]]:
    found = [(n, copy.deepcopy(line)) for n, line in stream.payloads if isinstance(line.get("done"), bool)]
    return need(found, "line of an answer")


def _ollama_calls(line: _Json) -> list[_Json]:
    message = line.get("message")
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    return [one for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []


@mutation(
    "ollama_thinking_first", Class.DIALECT, Layer.DELTA, "thinks before the answer",
    right="keeps the thinking apart from the text", sources=["decolua/9router#3601", _OLLAMA], dialects=("ollama",),
)  # fmt: skip
def ollama_thinking_first(stream: Stream, choose: Choose) -> Edit:
    """Send lines with thinking, and empty content beside it or none."""
    bare = choose(2)
    lines = _lines(stream)
    number, first = lines[0]
    chat = isinstance(first.get("message"), dict)
    if any("thinking" in (line.get("message") or line) for _, line in lines) or first["done"]:
        raise Inapplicable("it thinks, or is one line")
    if not chat and "response" not in first:
        raise Inapplicable("its first line holds no answer")
    if not bare and chat and not any("content" in (line.get("message") or {}) for _, line in lines):
        raise Inapplicable("it has no content that an empty one could be a part of")
    head = {key: first[key] for key in ("model", "created_at") if key in first}
    made = []
    for text in _THOUGHTS:
        inner: _Json = {"thinking": text}
        if not bare:
            inner["content" if chat else "response"] = ""
        said: _Json = {"message": {"role": "assistant", **inner}} if chat else inner
        made.append(head | said | {"done": False})
    edited = stream.inserted(number, *(stream.payload_event(line) for line in made))
    expected = first_choice(lambda one: replace(one, reasoning="".join(_THOUGHTS)))
    return Edit(edited, "thinking first", (), (number, number + 1), expected)


@mutation(
    "ollama_no_arguments", Class.DIALECT, Layer.JSON, "makes a call one without arguments: empty, absent or null",
    right="gives the call with no arguments", sources=["QwenLM/qwen-code#6249", _OLLAMA], dialects=("ollama",),
)  # fmt: skip
def ollama_no_arguments(stream: Stream, choose: Choose) -> Edit:
    """Choose what stands in place of the arguments; of the first call."""
    how = choose(3)
    number, line = need([one for one in _lines(stream) if _ollama_calls(one[1])], "call")[0]
    function = _ollama_calls(line)[0].get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), dict):
        raise Inapplicable("its call has no object of arguments")
    function["arguments"] = ({}, None, None)[how]
    if how == 1:
        del function["arguments"]
    text = "{}" if how == 0 else ""

    def emptied(choice: Choice) -> Choice:
        return replace(choice, tool_calls=(replace(choice.tool_calls[0], arguments=text), *choice.tool_calls[1:]))

    said = ("arguments {}", "no arguments", "arguments null")[how]
    edited = stream.replaced(number, stream.payload_event(line))
    return Edit(edited, said, (number,), (number,), first_choice(emptied))


@mutation(
    "ollama_second_call", Class.DIALECT, Layer.DELTA, "adds a second call, in the line of the first or in its own",
    right="gives both calls, also where the index is the same", sources=["ollama/ollama#15457", "ollama/ollama#7881"],
    dialects=("ollama",),
)  # fmt: skip
def ollama_second_call(stream: Stream, choose: Choose) -> Edit:
    """Put it beside the last call, with another index or with the same; or into a line of its own."""
    how = choose(3)
    number, line = need([one for one in _lines(stream) if _ollama_calls(one[1])], "call")[-1]
    calls = _ollama_calls(line)
    last = calls[-1].get("function")
    if not isinstance(last, dict):
        raise Inapplicable("its call has no function")
    function: _Json = {"name": "second_tool", "arguments": {"note": "second"}}
    index = last.get("index")
    if type(index) is int:
        function["index"] = index + 1 if how == 0 else index
    added: _Json = {"function": function}
    if calls[-1].get("id"):
        added["id"] = "call_second"
    if how == 2:
        if line["done"]:
            raise Inapplicable("the call comes in the last line")
        alone = {**line, "message": {"role": "assistant", "tool_calls": [added]}}
        edited = stream.inserted(number + 1, stream.payload_event(alone))
    else:
        line["message"]["tool_calls"].append(added)
        edited = stream.replaced(number, stream.payload_event(line))
    call = ToolCall(added.get("id"), "second_tool", '{"note":"second"}', index=function.get("index"))

    def with_second(choice: Choice) -> Choice:
        problem = choice.tool_calls[-1].problem
        if problem is not None:
            raise Inapplicable("its calls are not to be executed")
        return replace(choice, tool_calls=(*choice.tool_calls, call))

    return Edit(edited, "a second call", (number,), (number,), traced(edited, first_choice(with_second)))


# -- Cohere


def _of_type(stream: Stream, *kinds: str) -> list[tuple[int, _Json]]:
    return [(n, copy.deepcopy(payload)) for n, payload in stream.payloads if payload.get("type") in kinds]


def _cohere_calls(stream: Stream) -> dict[Any, list[tuple[int, _Json, str]]]:
    """Return the fragments of arguments of each call, by index: (event, payload, text)."""
    found: dict[Any, list[tuple[int, _Json, str]]] = {}
    for number, payload in _of_type(stream, "tool-call-delta"):
        try:
            text = payload["delta"]["message"]["tool_calls"]["function"]["arguments"]
        except (KeyError, TypeError):
            raise Inapplicable("a fragment of a call has no arguments") from None
        found.setdefault(payload.get("index"), []).append((number, payload, text if isinstance(text, str) else ""))
    return found


@mutation(
    "cohere_half_arguments", Class.DIALECT, Layer.DELTA, "finishes a call with half of its arguments as if whole",
    right="gives a typed error, or a call that says it must not be executed",
    sources=["vllm-project/vllm#53269", "vllm-project/vllm#34887", _COHERE], dialects=("cohere_v2",),
)  # fmt: skip
def cohere_half_arguments(stream: Stream, choose: Choose) -> Edit:
    """Lose the last fragment of a call, or the first; all else ends as it did."""
    first = choose(2)
    found = []
    for index, pieces in _cohere_calls(stream).items():
        full = [n for n, (_, _, text) in enumerate(pieces) if text.strip()]
        if len(full) > 1 and type(index) is int:
            at = full[0] if first else full[-1]
            left = "".join(text for n, (_, _, text) in enumerate(pieces) if n != at)
            if argument_problem(left) is not None:
                found.append((index, pieces[at][0], left))
    index, number, left = choose.of(need(found, "call whose arguments can be cut"))
    problem = argument_problem(left)

    def halved(choice: Choice) -> Choice:
        calls = (
            replace(one, arguments=left, problem=one.problem or problem) if one.index == index else one
            for one in choice.tool_calls
        )
        return replace(choice, tool_calls=tuple(calls))

    said = f"the {'first' if first else 'last'} fragment of call {index} is lost"
    return Edit(stream.replaced(number), said, (number,), (), first_choice(halved))


@mutation(
    "cohere_second_call", Class.DIALECT, Layer.DELTA, "adds a second call after the first",
    right="gives both calls, each whole", sources=["endolith/open-interpreter#315", _COHERE], dialects=("cohere_v2",),
)  # fmt: skip
def cohere_second_call(stream: Stream, choose: Choose) -> Edit:
    """Send it in fragments, or whole at its start."""
    at_once = choose(2)
    ends = need(_of_type(stream, "tool-call-end"), "call that ends")
    number, end = ends[-1]
    indexes: list[Any] = [payload.get("index") for _, payload in ends]
    if not all(type(index) is int for index in indexes):
        raise Inapplicable("its calls have no index")
    index = 1 + max(indexes)
    text = '{"note": "second"}'
    pieces = [] if at_once else [text[:7], text[7:]]
    function = {"name": "second_tool", "arguments": text if at_once else ""}
    opener = {"id": "call_second", "type": "function", "function": function}
    sent: list[_Json] = [
        {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": opener}}},
        *(
            {"type": "tool-call-delta", "index": index,
             "delta": {"message": {"tool_calls": {"function": {"arguments": piece}}}}} for piece in pieces
        ),
        {"type": "tool-call-end", "index": index},
    ]  # fmt: skip
    named = stream.events[number].name is not None
    del end
    events = [replace(stream.payload_event(one), name=one["type"] if named else None) for one in sent]
    edited = stream.inserted(number + 1, *events)
    call = ToolCall("call_second", "second_tool", text, index=index)
    expected = first_choice(lambda one: replace(one, tool_calls=(*one.tool_calls, call)))
    return Edit(edited, "a second call", (), tuple(range(number + 1, number + 1 + len(sent))), expected)


@mutation(
    "cohere_no_usage", Class.DIALECT, Layer.JSON, "counts no tokens",
    right="does without", sources=["zed-industries/zed#42893", _COHERE], dialects=("cohere_v2",),
)  # fmt: skip
def cohere_no_usage(stream: Stream, choose: Choose) -> Edit:
    """Make usage null, or leave it out."""
    absent = choose(2)
    number, payload = need(_of_type(stream, "message-end"), "message-end")[0]
    delta = payload.get("delta")
    if not isinstance(delta, dict) or not delta.get("usage"):
        raise Inapplicable("it has no usage")
    delta["usage"] = None
    if absent:
        del delta["usage"]
    edited = stream.replaced(number, stream.events[number].with_data(stream.manner.json(payload)))
    said = "no usage" if absent else "usage null"
    return Edit(edited, said, (number,), (number,), lambda completion: replace(completion, usage=None))


# -- completions


def _choices(stream: Stream) -> list[tuple[int, _Json]]:
    found = [(n, copy.deepcopy(one)) for n, one in stream.payloads if one.get("choices")]
    return need(found, "choice")


def _put(stream: Stream, number: int, payload: _Json) -> Stream:
    return stream.replaced(number, stream.events[number].with_data(stream.manner.json(payload)))


@mutation(
    "completions_no_finish_reason", Class.DIALECT, Layer.DELTA, "leaves out the finish reason and sends [DONE]",
    right="takes [DONE] for the end and gives no finish reason, or gives a typed error",
    sources=["openai/openai-node#1292", "ModelTC/LightLLM#130", "pydantic/pydantic-ai#6610"],
    dialects=("openai_completions",),
)  # fmt: skip
def completions_no_finish_reason(stream: Stream, choose: Choose) -> Edit:
    """Write null for every finish reason, or leave it out."""
    absent = choose(2)
    if not any(event.done for event in stream.events):
        raise Inapplicable("there is no [DONE]: without it the stream would be cut off")
    edited, changed = stream, []
    for number, payload in _choices(stream):
        for choice in payload["choices"]:
            if choice.get("finish_reason"):
                choice["finish_reason"] = None
                changed.append(number)
                if absent:
                    del choice["finish_reason"]
        edited = _put(edited, number, payload) if number in changed else edited
    need(changed, "finish reason")

    def expected(completion: Completion) -> Completion:
        return replace(completion, choices=tuple(replace(one, finish_reason=None) for one in completion.choices))

    return Edit(edited, "no finish reason", tuple(changed), tuple(changed), expected)


@mutation(
    "completions_empty_payloads", Class.DIALECT, Layer.DELTA, "sends empty finish reasons, or an empty text",
    right='takes "" for null, and appends nothing', sources=["ollama/ollama#4357", "sgl-project/sglang#3912"],
    dialects=("openai_completions",),
)  # fmt: skip
def completions_empty_payloads(stream: Stream, choose: Choose) -> Edit:
    """Write an empty finish reason wherever there is none; or send an empty text after the first payload."""
    how = choose(2)
    found = _choices(stream)
    edited = stream
    if how:
        number, payload = found[0]
        if len(payload["choices"]) != 1 or payload["choices"][0].get("finish_reason"):
            raise Inapplicable("its first payload has several choices, or ends one")
        head = {key: value for key, value in payload.items() if key not in ("choices", "usage")}
        quiet = {"text": "", "index": payload["choices"][0].get("index", 0), "logprobs": None, "finish_reason": None}
        edited = stream.inserted(number + 1, stream.payload_event({**head, "choices": [quiet]}))
        return Edit(edited, "an empty text", (), (number + 1,))
    for number, payload in found:
        for choice in payload["choices"]:
            choice["finish_reason"] = choice.get("finish_reason") or ""
        edited = _put(edited, number, payload)
    return Edit(edited, "an empty finish reason with every payload")


@mutation(
    "completions_usage_added", Class.PRESERVING, Layer.DELTA, "sends usage where there was none",
    right="records the usage; the answer is the same",
    sources=["deepset-ai/haystack#8507", "microsoft/autogen#4875", "ogx-ai/ogx#5122"],
    dialects=("openai_completions",),
)  # fmt: skip
def completions_usage_added(stream: Stream, choose: Choose) -> Edit:
    """Send it in a payload without choices, or with the last payload."""
    beside = choose(2)
    if any(payload.get("usage") for _, payload in stream.payloads):
        raise Inapplicable("there is usage")
    number, payload = _choices(stream)[-1]
    usage = {"prompt_tokens": 11, "completion_tokens": 8, "total_tokens": 19}
    if beside:
        edited = _put(stream, number, {**payload, "usage": usage})
    else:
        edited = stream.inserted(number + 1, stream.payload_event({**payload, "choices": [], "usage": usage}))
    said = "usage with the last payload" if beside else "usage by itself"
    return Edit(edited, said, (), (number,), lambda completion: replace(completion, usage=usage))


@mutation(
    "completions_usage_running", Class.DIALECT, Layer.DELTA, "sends usage with every payload, that so far or all of it",
    right="takes the last usage and adds nothing up", sources=["ogx-ai/ogx#5122", "cline/cline#11304"],
    dialects=("openai_completions",),
)  # fmt: skip
def completions_usage_running(stream: Stream, choose: Choose) -> Edit:
    """Count up to the usage at the end, or send that every time; where there is none, put one in."""
    same = choose(2)
    found = _choices(stream)
    counted = [payload["usage"] for _, payload in stream.payloads if payload.get("usage")]
    usage = counted[-1] if counted else {"prompt_tokens": 11, "completion_tokens": 8, "total_tokens": 19}
    edited = stream
    for place, (number, payload) in enumerate(found, 1):
        share = 1.0 if same or place == len(found) else place / (len(found) + 1)
        so_far = {key: int(value * share) if type(value) is int else value for key, value in usage.items()}
        edited = _put(edited, number, {**payload, "usage": so_far})
    numbers = tuple(number for number, _ in found)
    said = "all the usage" if same else "the usage so far"
    return Edit(edited, f"{said} with every payload", numbers, numbers, lambda one: replace(one, usage=dict(usage)))
