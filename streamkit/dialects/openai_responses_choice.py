"""The output items of a Responses stream as the one choice of a Completion.

What a choice has a place for goes there: text, refusal and reasoning of all items joined, and the calls. An item that
says more than that (annotations, a phase, encrypted reasoning, several parts) and every item of another type is kept
whole in `extra["items"]`, as `{"output_index": ..., "item": ...}`. Of an item that says no more, its id is dropped:
it only ties the events together. The id of a call is in the call's `extra`.

When a call may be executed: the response has the status "completed"; the call's own status is no bad one; the final
response holds it, if that holds any output; the arguments are a JSON object, or empty and said to be whole; the input
of a custom call, which can be any text, was said to be whole. A response that is incomplete was cut off, so that none
of its calls may be executed, not even those that had been finished: nobody knows what the rest would have asked for,
and the API takes no results for a part of a turn's calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, ToolCall, argument_problem
from streamkit.dialects.openai_responses_item import CALLS

if TYPE_CHECKING:
    from streamkit.dialects.openai_responses_item import Item
    from streamkit.dialects.openai_responses_items import Items

__all__ = ["COMPLETED", "REQUEST_DEFAULTS", "build_choice", "cut_off"]

COMPLETED = "completed"
# Fields of a response that echo the request: said at these values, they say nothing. Source: the API reference.
REQUEST_DEFAULTS: dict[str, Any] = {
    "background": False,
    "frequency_penalty": 0.0,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
}
_BAD = ("incomplete", "failed", "cancelled")
_CALL_FIELDS = {"type", "call_id", "name", "arguments", "input"}


def build_choice(items: Items, finish_reason: str | None, *, ended: bool) -> Choice:
    """Return the choice that the items make.

    Args:
        items: of the response.
        finish_reason: its status, or why it is incomplete; None while it is neither.
        ended: whether the response has ended properly.
    """
    ordered = items.ordered()
    sent = [(item, item.json()) for item in ordered]
    messages = [one for item, one in sent if item.kind == "message"]
    texts = [text for one in messages for text in _leaves(one, "content", "text")]
    refusals = [text for one in messages for text in _leaves(one, "content", "refusal")]
    reasoning = [text for item, one in sent if item.kind == "reasoning" for text in _reasoning(one)]
    told = [part.get("logprobs") for one in messages for part in _parts(one, "content")]
    logprobs = [token for tokens in told if isinstance(tokens, list) for token in tokens]
    kept = [
        {"output_index": item.index, "item": one}
        for item, one in sent
        if item.kind not in CALLS and not _plain(item, one, sent, cut_off=finish_reason != COMPLETED)
    ]
    roles = (one.get("role") for one in messages)
    return Choice(
        index=0,
        role=next((role for role in roles if isinstance(role, str) and role), "assistant"),
        content="".join(texts) if texts else None,
        refusal="".join(refusals) if refusals else None,
        reasoning="".join(reasoning) if reasoning else None,
        tool_calls=_calls(sent, items, finish_reason, ended=ended),
        finish_reason=finish_reason,
        logprobs={"content": logprobs} if logprobs else None,
        extra={"items": kept} if kept else {},
    )


def cut_off(reason: str) -> str:
    """Return the problem that each call of an incomplete response has."""
    return f"the answer was cut off ({reason})"


def _parts(item: dict[str, Any], name: str) -> list[dict[str, Any]]:
    parts = item.get(name)
    return parts if isinstance(parts, list) else []


def _leaves(item: dict[str, Any], name: str, leaf: str) -> list[str]:
    return [part[leaf] for part in _parts(item, name) if isinstance(part.get(leaf), str)]


def _reasoning(item: dict[str, Any]) -> list[str]:
    """Return the texts of the reasoning itself or, where it was not sent, those of its summary."""
    return _leaves(item, "content", "text") or _leaves(item, "summary", "text")


def _said(fields: dict[str, Any]) -> set[str]:
    return {name for name, value in fields.items() if value not in (None, "", [], {})}


def _plain(item: Item, sent: dict[str, Any], all_sent: list[tuple[Item, dict[str, Any]]], *, cut_off: bool) -> bool:
    """Say whether an item says nothing but its text, so that it can be left out beside it."""
    alike = [(other, one) for other, one in all_sent if other.kind == item.kind]
    status = sent.get("status")
    if status not in (None, COMPLETED, "in_progress") and not (cut_off and status == "incomplete"):
        return False
    fields = _said(sent) - {"type", "id", "status", "role"}
    if item.kind == "message":
        parts = _parts(sent, "content")
        shape = [(part.get("type"), *sorted(_said(part) - {"type", "logprobs"})) for part in parts]
        forms: tuple[list[Any], ...] = ([], [_TEXT], [_REFUSAL], [_TEXT, _REFUSAL])
        shape = [_TEXT if one == _TEXT[:1] else _REFUSAL if one == _REFUSAL[:1] else one for one in shape]
        return fields <= {"content"} and shape in forms and len(alike) == 1 and sent.get("role") in (None, "assistant")
    if item.kind == "reasoning":
        parts = [*_parts(sent, "summary"), *_parts(sent, "content")]
        if fields - {"summary", "content"} or any(_said(part) - {"type", "text"} for part in parts):
            return False
        messages = [other.index for other, _ in all_sent if other.kind == "message"]
        alone = len(alike) == 1 and len(parts) == 1 and all(item.index < index for index in messages)
        return not parts or (alone and parts[0].get("type") in ("summary_text", "reasoning_text"))
    return False


_TEXT = ("output_text", "text")
_REFUSAL = ("refusal", "refusal")


def _calls(
    sent: list[tuple[Item, dict[str, Any]]], items: Items, finish_reason: str | None, *, ended: bool
) -> tuple[ToolCall, ...]:
    trouble = None
    if not ended:
        trouble = "the stream ended before it was finished"
    elif finish_reason != COMPLETED:
        trouble = cut_off(str(finish_reason))
    calls = [(item, one) for item, one in sent if item.kind in CALLS]
    problems = [_problem(item, one, items) for item, one in calls]
    broken = "it has no arguments, and another call of the answer is broken: they may have gone astray"
    made = []
    for (item, one), own in zip(calls, problems, strict=True):
        custom = item.kind == "custom_tool_call"
        arguments = item.text("input" if custom else "arguments")
        empty = broken if any(problems) and not arguments.strip() else None
        extra = {
            name: value
            for name, value in one.items()
            if name not in _CALL_FIELDS and value is not None and (name, value) != ("status", COMPLETED)
        }
        kind = "custom" if custom else "function"
        name = one.get("name")
        made.append(
            ToolCall(
                id=item.field("call_id"),
                name=name if isinstance(name, str) else "",
                arguments=arguments,
                type=kind,
                index=item.index,
                problem=trouble or own or empty,
                extra=extra,
            )
        )
    return tuple(made)


def _problem(item: Item, sent: dict[str, Any], items: Items) -> str | None:
    if not item.field("name"):
        return "it has no name"
    if sent.get("status") in _BAD:
        return f"its status is {sent['status']}"
    if items.final and not item.listed:
        return "the final response does not hold it"
    whole = item.ended or item.filled
    if item.kind == "custom_tool_call":
        return None if whole else "nothing said that its input is whole"
    problem = argument_problem(item.text("arguments"))
    if problem is None and not whole and not item.text("arguments").strip():
        return "it has no arguments, and nothing said that they are whole"
    return problem
