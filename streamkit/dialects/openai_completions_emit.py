"""A Completion to the events of /v1/completions: the inverse of `streamkit.dialects.openai_completions`.

Events are those of OpenAI's own server: the choices take turns, the finish reason comes with a last empty text, the
usage in a payload without choices, and `[DONE]` closes.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.dialects.layout import Layout, pieces
from streamkit.dialects.writing import carried, synthetic, written
from streamkit.errors import UsageError
from streamkit.wire.sse import ServerSentEvent, SSEEncoder

if TYPE_CHECKING:
    from streamkit.completion import Choice, Completion
    from streamkit.transcript import Transcript

__all__ = ["emit"]


def emit(completion: Completion, layout: Layout) -> Transcript:
    """Return a synthetic transcript; see `OpenAICompletions.emit`."""
    from streamkit.dialects.openai_completions import Reader

    usage = completion.usage
    if layout.usage == "none" and usage is not None:
        raise UsageError("the completion has usage, and the layout's usage='none' leaves it out")
    head = {
        "id": completion.id,
        "object": "text_completion",
        "created": completion.created,
        "model": completion.model,
        "system_fingerprint": completion.system_fingerprint,
        "service_tier": completion.service_tier,
    }
    head = {key: value for key, value in head.items() if value is not None}
    turns = zip_longest(*(_entries(choice, layout) for choice in completion.choices))
    payloads: list[dict[str, Any]] = [
        {**head, "choices": [entry]} for turn in turns for entry in turn if entry is not None
    ]
    if usage is not None and layout.usage != "last" and payloads:
        for one in payloads if layout.usage == "every" else payloads[-1:]:
            one["usage"] = usage
    elif usage is not None:
        for one in payloads:
            one["usage"] = None
        payloads.append({**head, "usage": usage, "choices": []})
    if payloads:
        payloads[-1].update(completion.extra)
    encoder = SSEEncoder(layout.framing)
    blocks: list[bytes] = []
    for data in [*map(written, payloads), "[DONE]"]:
        if layout.keep_alive:
            blocks.append(encoder.comment("keep-alive"))
        blocks.append(encoder.encode(ServerSentEvent(data=data)))
    transcript = synthetic(blocks, "openai_completions", "text/event-stream", whole=layout.chunk == "whole")
    return carried("openai_completions", completion, transcript, Reader())


def _entries(choice: Choice, layout: Layout) -> list[dict[str, Any]]:
    """Return the entries of one choice, in order."""
    found: list[dict[str, Any]] = []
    if choice.content is not None:
        texts = [*pieces(choice.content, layout.token_size), ""]
        found = [{"text": text, "index": choice.index, "logprobs": None, "finish_reason": None} for text in texts]
    else:
        found = [{"index": choice.index, "logprobs": None, "finish_reason": None}]
    if choice.logprobs is not None:
        _spread(found, choice.logprobs)
    found[-1]["finish_reason"] = choice.finish_reason
    found[-1].update(choice.extra)
    return found


def _spread(entries: list[dict[str, Any]], logprobs: Any) -> None:
    """Give each entry its share of the logprobs' lists, the last one the rest."""
    last = len(entries) - 1
    for number, entry in enumerate(entries):
        entry["logprobs"] = {
            key: value[number:] if number == last else value[number : number + 1]
            for key, value in logprobs.items()
            if isinstance(value, list)
        }
