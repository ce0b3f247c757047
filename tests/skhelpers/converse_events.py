"""Small builders of ConverseStream: events as plain dicts, their bytes, and what they add up to."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.completion import Completion
from streamkit.dialects.bedrock_converse import Reader
from streamkit.dialects.bedrock_converse_emit import event
from streamkit.errors import DialectError, PayloadError
from streamkit.wire.eventstream import Header, Message, encode

Json = dict[str, Any]
Event = tuple[str, Json]

START: Event = ("messageStart", {"role": "assistant"})
USAGE = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
METADATA: Event = ("metadata", {"metrics": {"latencyMs": 5}, "usage": USAGE})


def delta(index: int, **fields: Any) -> Event:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def text(index: int, piece: str) -> Event:
    return delta(index, text=piece)


def arguments(index: int, piece: str) -> Event:
    return delta(index, toolUse={"input": piece})


def call(index: int, name: str = "weather", **fields: Any) -> Event:
    start = {"toolUse": {"name": name, "toolUseId": f"tooluse_{index}", **fields}}
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def stop(index: int) -> Event:
    return "contentBlockStop", {"contentBlockIndex": index}


def finish(reason: str = "end_turn", **fields: Any) -> Event:
    return "messageStop", {"stopReason": reason, **fields}


def body(*events: Event) -> bytes:
    return b"".join(encode(event(*one)) for one in events)


def read(*events: Event) -> Completion:
    return accumulated([body(*events)])


def accumulated(chunks: Any) -> Completion:
    reader = Reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()


def outcome(chunks: Any) -> tuple[str, Completion]:
    """Return the completion, or the error's text and what had come."""
    try:
        return "", accumulated(chunks)
    except DialectError as error:
        return str(error), error.partial


def partial(*events: Event) -> Completion:
    reader = Reader()
    reader.feed(body(*events))
    return reader.snapshot()


def refusal(*events: Event) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        read(*events)
    assert not caught.value.partial.ended
    return caught.value


WEATHER = (
    START, text(0, "Let me "), text(0, "look."), stop(0), call(1), arguments(1, ""), arguments(1, '{"city":'),
    arguments(1, ' "Köln"}'), stop(1), finish("tool_use"), METADATA,
)  # fmt: skip


def raw_message(payload: bytes = b'{"message":"too fast"}', **headers: str) -> bytes:
    """Return a message of this payload whose headers are named as given, with a colon before."""
    values = {":" + name.replace("_", "-"): value for name, value in headers.items()}
    return encode(Message(tuple(Header(name, value) for name, value in values.items()), payload))
