"""Mutations that put text into the deltas of the dialects beside Chat Completions: separators, framing, halves.

The same as `chat_text` does there, and `surrogate_halves`. Each says with `Edit.expected` what the answer is then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from streamkit.mutations.registry import Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.spoken import DIALECTS, Run, grown, rewritten, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.mutations.registry import Choose
    from streamkit.mutations.stream import Stream

__all__ = ["framing_in_deltas", "separators_in_deltas", "surrogate_halves_in_deltas"]

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = {"\n": "\\n", '"': '\\"', "\\": "\\\\"}


def _places(run: Run) -> list[tuple[int, int]]:
    """Return the places where text can be put into a run, as (number of the piece, offset into it)."""
    if run.what == "content":
        return [(n, len(piece.text) // 2) for n, piece in enumerate(run.pieces) if piece.text]
    places, start = [], 0
    opened = [match.start(1) for match in _STRING.finditer(run.text)]
    for number, piece in enumerate(run.pieces):
        inside = [at for at in opened if start < at <= start + len(piece.text)]
        places += [(number, at - start) for at in inside[-1:]]
        start += len(piece.text)
    return places[::-1]


def _put(stream: Stream, choose: Choose, texts: Sequence[str]) -> Edit:
    """Put one of some texts into a run of text or arguments."""
    _, found = runs(stream)
    text = choose.of(texts)
    run = choose.of(found)
    places = _places(run)
    if not places:
        raise Inapplicable("the arguments hold no string")
    at, inside = choose.of(places)
    piece, before = run.pieces[at], run.text
    put = text if run.what == "content" else "".join(_ESCAPED.get(letter, letter) for letter in text)
    offset = sum(len(one.text) for one in run.pieces[:at]) + inside
    piece.holder[piece.key] = piece.text[:inside] + put + piece.text[inside:]
    edited = rewritten(stream, run, before, [piece.number])
    said = f"{text!a} in the {run.what} of event {piece.number}"
    return Edit(edited, said, (piece.number,), (piece.number,), grown(run, before, offset, put))


@mutation(
    "separators_in_deltas",
    Class.PRESERVING,
    Layer.JSON,
    "puts U+2028, U+2029, U+0085 or U+FEFF into a text or into arguments, unescaped",
    right="takes no character but CR and LF for the end of a line, and keeps all others",
    sources=[
        "WHATWG HTML 9.2.5", "RFC 8259, section 7", "florimondmanca/httpx-sse#34", "langchain-ai/langgraph#2593",
        "langgenius/dify#39008", "modelscope/evalscope#1642", "openai/openai-python#1230", "kagent-dev/kagent#1480",
    ],
    dialects=DIALECTS,
)  # fmt: skip
def separators_in_deltas(stream: Stream, choose: Choose) -> Edit:
    """Put a separator into a piece of text or of arguments."""
    return _put(stream, choose, ["\u2028", "\u2029", "\x85", "\u2028\u2029\x85\x7f\x80", "\ufeff"])


@mutation(
    "framing_in_deltas",
    Class.PRESERVING,
    Layer.JSON,
    "puts text that looks like framing, or like two JSON values, into a text or into arguments",
    right="takes what is inside a string for text",
    sources=[
        "ai-forever/gigachat-js#12", "Routstr/routstr-core#543", "huggingface/huggingface_hub#4536",
        "intrafind/ihub-apps#1802",
    ],
    dialects=DIALECTS,
)  # fmt: skip
def framing_in_deltas(stream: Stream, choose: Choose) -> Edit:
    """Put `data: `, `}{`, `[DONE]`, an event or an error's text into a piece."""
    kinds = ["data: ", "}{", "[DONE]", "\n\nevent: error\ndata: {}\n\n", '": ["', '{"error":{"message":"boom"}}']
    return _put(stream, choose, kinds)


@mutation(
    "surrogate_halves_in_deltas",
    Class.DIALECT,
    Layer.JSON,
    "sends the two halves of a surrogate pair in two deltas",
    right="joins the halves to one character, or gives a typed error",
    sources=["elizaOS/eliza#30904", "elie222/rakazo#416", "Kohaku-Lab/KohakuTerrarium#48"],
    dialects=DIALECTS,
)
def surrogate_halves_in_deltas(stream: Stream, choose: Choose) -> Edit:
    """End a piece with the first half, and begin the next with the second."""
    _, found = runs(stream)
    places = []
    for run in found:
        spans = [(0, len(run.text))] if run.what == "content" else [one.span(1) for one in _STRING.finditer(run.text)]
        at = 0
        for number, piece in enumerate(run.pieces[:-1]):
            at += len(piece.text)
            # In arguments, not inside an escape: at the very start of a string, or after a plain character.
            plain = run.what == "content" or not re.search(r"\\(?:u[0-9a-fA-F]{0,3})?$", run.text[:at])
            apart = piece.number != run.pieces[number + 1].number
            if plain and apart and any(start <= at <= end for start, end in spans):
                places.append((run, number, at))
    if not places:
        raise Inapplicable("no text comes in two events")
    run, number, at = choose.of(places)
    one, two = run.pieces[number : number + 2]
    before = run.text
    one.holder[one.key] = one.text + "\ud83c"
    two.holder[two.key] = "\udf0d" + two.text
    whole = before[:at] + "\U0001f30d" + before[at:]
    edited = rewritten(stream, run, before, [one.number, two.number], whole)
    said = f"the halves of U+1F30D in events {one.number} and {two.number}"
    numbers = (one.number, two.number)
    return Edit(edited, said, numbers, numbers, grown(run, before, at, "\U0001f30d"))
