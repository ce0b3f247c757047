"""What Chat Completions and Responses do differently: the request, and the messages that a round adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from streamkit.completion import argument_problem
from streamkit.conversation.steps import Call
from streamkit.dialects.openai_chat import OpenAIChat, Reader
from streamkit.dialects.openai_responses import OpenAIResponses
from streamkit.dialects.text import pair_surrogates
from streamkit.errors import TruncatedStreamError, UnusableCallsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamkit.completion import Completion
    from streamkit.conversation.functions import Functions
    from streamkit.conversation.outcome import Outcome
    from streamkit.dialects.reader import EventReader

__all__ = ["Api", "api_of"]

Json = dict[str, Any]

# By these finish reasons a server says that it failed itself: OpenRouter, Mistral, vLLM, SGLang, DeepSeek, GLM.
_FAILED = ("error", "abort", "aborted", "cancelled", "insufficient_system_resource", "network_error")
_OUR_CALLS = ("function_call", "custom_tool_call")


class Api(Protocol):
    """One API of the openai library."""

    def resource(self, client: Any) -> Any:
        """Return what of a client makes the request."""

    def request(self, functions: Functions, messages: Sequence[Any]) -> Json:
        """Return the parameters that carry the messages and the functions."""

    def reader(self) -> EventReader:
        """Return a new reader of its stream."""

    def kept(self, reader: EventReader) -> Json:
        """Return what of an answer's fields goes back as it came, if it holds calls."""

    def calls(self, completion: Completion, number: int) -> tuple[Call, ...]:
        """Return the calls of an answer that ended properly.

        Args:
            completion: the answer.
            number: a number that no other round has, for ids that the model did not send.

        Raises:
            UnusableCallsError: one of them must not be made, and so none is.
            TruncatedStreamError: the stream said that it was over, and it was not.
        """

    def messages(
        self, completion: Completion, calls: Sequence[Call], outcomes: Sequence[Outcome], kept: Mapping[str, Any]
    ) -> list[Json]:
        """Return what a round adds to the messages: the answer, and the outcome of each of its calls.

        Args:
            completion: the answer.
            calls: of it.
            outcomes: of them, in the same order.
            kept: what `kept` returned.
        """


def api_of(name: str, *, legacy: bool) -> Api:
    """Return the API of that name.

    Args:
        name: "chat" or "responses".
        legacy: send `functions` and not `tools`; of chat only.

    Raises:
        UsageError: there is no such API, or it has no legacy form.
    """
    if name == "chat":
        return _Chat(legacy=legacy)
    if name != "responses":
        raise UsageError(f"api is {name!r}: write 'chat' or 'responses'")
    if legacy:
        raise UsageError("legacy functions are of Chat Completions: Responses has none")
    return _Responses()


class _Chat:
    """Chat Completions."""

    def __init__(self, *, legacy: bool) -> None:
        self._legacy = legacy

    def resource(self, client: Any) -> Any:
        return client.chat.completions

    def request(self, functions: Functions, messages: Sequence[Any]) -> Json:
        definitions = [one.definition() for one in functions]
        parameters: Json = {"messages": list(messages)}
        if definitions and self._legacy:
            parameters["functions"] = definitions
        elif definitions:
            parameters["tools"] = [{"type": "function", "function": one} for one in definitions]
        return parameters

    def reader(self) -> EventReader:
        return OpenAIChat().reader()

    def kept(self, reader: EventReader) -> Json:
        """Return the reasoning of a server that calls it `reasoning_content`.

        Such a server refuses a message with calls that comes back without it, an empty one too (DeepSeek's guide to its
        thinking mode; Kimi). One that never sends it may refuse it (Groq), and so may one behind an answer without
        calls (DeepSeek's R1).
        """
        reasoning = reader.reasoning_content if isinstance(reader, Reader) else None
        return {} if reasoning is None else {"reasoning_content": reasoning}

    def calls(self, completion: Completion, number: int) -> tuple[Call, ...]:
        if completion.finish_reason in _FAILED:
            raise _broken(completion, f"the server broke it off (finish reason {completion.finish_reason})")
        if not completion.tool_calls and completion.choices and completion.choices[0].function_call is not None:
            legacy = completion.choices[0].function_call
            _usable(completion, legacy)
            return (Call(None, legacy.name, legacy.arguments),)
        return _calls(completion, number)

    def messages(
        self, completion: Completion, calls: Sequence[Call], outcomes: Sequence[Outcome], kept: Mapping[str, Any]
    ) -> list[Json]:
        choice = completion.choices[0]
        answer: Json = {"role": "assistant", "content": choice.content}
        if choice.refusal:
            answer["refusal"] = choice.refusal
        if not calls:
            return [answer if choice.refusal else {**answer, "content": choice.content or ""}]
        answer.update(kept)
        if calls[0].id is None:
            answer["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments or "{}"}
            return [answer, {"role": "function", "name": calls[0].name, "content": outcomes[0].text}]
        answer["tool_calls"] = [
            # What a provider sends with a call, such as a signature, it may want to see again.
            {**sent.extra, "id": call.id, "type": sent.type, **_chat_call(call, sent.type)}
            for call, sent in zip(calls, choice.tool_calls, strict=True)
        ]
        results = zip(calls, outcomes, strict=True)
        return [answer, *({"role": "tool", "tool_call_id": one.id, "content": made.text} for one, made in results)]


def _chat_call(call: Call, kind: str) -> Json:
    if kind == "custom":
        return {"custom": {"name": call.name, "input": call.arguments}}
    return {"function": {"name": call.name, "arguments": call.arguments or "{}"}}


class _Responses:
    """Responses. The state is all in the messages: no id of an earlier response is sent."""

    def resource(self, client: Any) -> Any:
        return client.responses

    def request(self, functions: Functions, messages: Sequence[Any]) -> Json:
        # The API takes a function without `strict` for a strict one, which ours need not be.
        tools = [{"type": "function", **one.definition(), "strict": False} for one in functions]
        return {"input": list(messages), **({"tools": tools} if tools else {})}

    def reader(self) -> EventReader:
        return OpenAIResponses().reader()

    def kept(self, reader: EventReader) -> Json:
        return {}  # its reasoning is items of its own

    def calls(self, completion: Completion, number: int) -> tuple[Call, ...]:
        return _calls(completion, number)

    def messages(
        self, completion: Completion, calls: Sequence[Call], outcomes: Sequence[Outcome], kept: Mapping[str, Any]
    ) -> list[Json]:
        """Return the items of the round.

        Calls go without the id of their item, which would oblige the client to send the reasoning before them too; of
        the reasoning only what is encrypted can be sent back whatever the server stores.
        """
        choice = completion.choices[0] if completion.choices else None
        items: list[tuple[int, Json]] = []
        for held in choice.extra.get("items", ()) if choice is not None else ():
            item = held["item"]
            if item.get("type") != "message" and (item.get("type") != "reasoning" or item.get("encrypted_content")):
                items.append((held["output_index"], item))
        for call, sent in zip(calls, completion.tool_calls, strict=True):
            custom = sent.type == "custom"
            text: Json = {"input": call.arguments} if custom else {"arguments": call.arguments or "{}"}
            kind = "custom_tool_call" if custom else "function_call"
            items.append((sent.index or 0, {"type": kind, "call_id": call.id, "name": call.name, **text}))
        items.sort(key=lambda item: item[0])
        said = (choice.content or choice.refusal) if choice is not None else None
        if said or not calls:
            # Where it stood is not known of a plain text: before what it announces, and behind what it is made of.
            at = next((n for n, (_, item) in enumerate(items) if item["type"] in _OUR_CALLS), len(items))
            items.insert(at, (0, {"role": "assistant", "content": said or ""}))
        results = [
            {"type": f"{'custom_tool' if sent.type == 'custom' else 'function'}_call_output",
             "call_id": call.id, "output": made.text}
            for call, made, sent in zip(calls, outcomes, completion.tool_calls, strict=True)
        ]  # fmt: skip
        return [*(item for _, item in items), *results]


def _calls(completion: Completion, number: int) -> tuple[Call, ...]:
    for one in completion.tool_calls:
        _usable(completion, one)
    return tuple(
        Call(pair_surrogates(one.id or f"call_{number}_{place}"), one.name, one.arguments)
        for place, one in enumerate(completion.tool_calls)
    )


def _usable(completion: Completion, call: Any) -> None:
    """Raise an error where the stream, and not the model, is why a call must not be made.

    Arguments that are not JSON the model can be told of; a call that was cut off, or that nobody can tell from another,
    it cannot.
    """
    if call.problem is not None and call.problem != argument_problem(call.arguments):
        raise UnusableCallsError(completion, call.name, call.problem)
    problem = call.problem
    if problem is None and not call.arguments.strip():
        problem = "no arguments came"  # which may be all, or none of them
    if problem is not None and completion.finish_reason is None:
        raise _broken(completion, f"it has no finish reason, and of {call.name!r}, {problem}")


def _broken(completion: Completion, why: str) -> TruncatedStreamError:
    """Return the error of a stream that said that it was over, and was not."""
    error = TruncatedStreamError(f"the stream ended early: {why}")
    error.partial = completion
    return error
