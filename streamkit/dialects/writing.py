"""How the emitters of all dialects write: JSON text, the transcript of what was written, and the proof that it carries.

What was written is read back by the dialect's own reader. What does not come back as it went in is refused by name, so
that no stream is handed out that means something else than the completion it was made from.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from streamkit.dialects.payloads import short
from streamkit.errors import DialectError, UsageError
from streamkit.transcript import Chunk, ResponseHead, Transcript

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.completion import Choice, Completion
    from streamkit.dialects import Reader

__all__ = ["carried", "read_back", "synthetic", "written"]


def written(value: Any) -> str:
    """Return a value as the JSON text of a synthetic event.

    Raises:
        UsageError: it is no JSON value, or its text is no UTF-8.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"this cannot be written as JSON: {error}") from None
    return text


def synthetic(blocks: Sequence[bytes], dialect: str, content_type: str, *, whole: bool) -> Transcript:
    """Return the transcript of blocks that no server sent.

    Args:
        blocks: the bytes of each event.
        dialect: the dialect's name.
        content_type: of the response head.
        whole: one chunk in all, in place of one a block.
    """
    chunks = [Chunk(b"".join(blocks))] if whole else [Chunk(block) for block in blocks]
    head = ResponseHead(headers=(("content-type", content_type),))
    return Transcript.from_chunks(
        chunks, head=head, dialect=dialect, synthetic=True, chunks_recorded=False, source=f"written by {dialect}.emit"
    )


def read_back(reader: Reader, body: bytes) -> Completion:
    """Return what a fresh reader makes of a whole body."""
    reader.feed(body)
    reader.close()
    return reader.result()


def carried(dialect: str, completion: Completion, transcript: Transcript, reader: Reader) -> Transcript:
    """Return the transcript, if it accumulates to the very completion.

    Args:
        dialect: the dialect's name, for the message.
        completion: what the transcript was written from.
        transcript: what was written.
        reader: a fresh one of the dialect.

    Raises:
        UsageError: it does not; the message names what comes back as something else.
    """
    try:
        back = read_back(reader, transcript.body)
    except DialectError as error:
        raise UsageError(f"{dialect} cannot carry this completion: {error}") from None
    if back != completion:
        raise UsageError(f"{dialect} cannot carry {_difference(completion, back)}")
    return transcript


def _difference(sent: Completion, back: Completion) -> str:
    if len(sent.choices) == len(back.choices):
        for one, other in zip(sent.choices, back.choices, strict=True):
            if one != other:
                return f"choice {one.index}: {_field(one, other)}"
    return _field(sent, back)


def _field(sent: Completion | Choice, back: Completion | Choice) -> str:
    name = next(f.name for f in fields(sent) if getattr(sent, f.name) != getattr(back, f.name))
    return f"its {name} {short(repr(getattr(sent, name)))}: it comes back as {short(repr(getattr(back, name)))}"
