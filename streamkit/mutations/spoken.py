"""Where the deltas of the dialects beside Chat Completions hold text and arguments: runs of pieces that are joined.

A run is the text of one answer, or the arguments of one call, as its pieces come. Text is only put into a run of which
the dialect's own reader says that nothing else is joined with it. A dialect that sends the whole once more behind the
pieces (Responses) has it changed there as well.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from streamkit.completion import argument_problem
from streamkit.dialects import accumulate
from streamkit.errors import DialectError
from streamkit.mutations.registry import Inapplicable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from streamkit.completion import Choice, Completion
    from streamkit.mutations.stream import Stream

__all__ = ["DIALECTS", "Piece", "Run", "choice_of", "grown", "rewritten", "runs", "traced"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """One piece: `holder[key]` in the payload of an event, live."""

    number: int
    payload: Json
    holder: Json
    key: str

    @property
    def text(self) -> str:
        """What it says."""
        return str(self.holder[self.key])


@dataclass
class Run:
    """Pieces that are joined to one text.

    Attributes:
        what: "content" or "arguments".
        index: of the choice whose text it is, or of the call in the first choice.
        pieces: in order.
    """

    what: str
    index: int
    pieces: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole."""
        return "".join(piece.text for piece in self.pieces)


_Found = tuple[str, Any, Json, str]  # what, index, holder, key


def _messages(payload: Json) -> Iterator[_Found]:
    delta = payload.get("delta")
    if payload.get("type") == "content_block_delta" and isinstance(delta, dict):
        if delta.get("type") == "text_delta":
            yield "content", 0, delta, "text"
        elif delta.get("type") == "input_json_delta":
            yield "arguments", payload.get("index"), delta, "partial_json"


def _responses(payload: Json) -> Iterator[_Found]:
    if payload.get("type") == "response.output_text.delta":
        yield "content", 0, payload, "delta"
    elif payload.get("type") == "response.function_call_arguments.delta":
        yield "arguments", payload.get("output_index"), payload, "delta"


def _inner(value: Any, *path: str) -> Json:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _cohere(payload: Json) -> Iterator[_Found]:
    if payload.get("type") == "content-delta":
        yield "content", 0, _inner(payload, "delta", "message", "content"), "text"
    elif payload.get("type") == "tool-call-delta":
        function = _inner(payload, "delta", "message", "tool_calls", "function")
        yield "arguments", payload.get("index"), function, "arguments"


def _objects(value: Any) -> Iterator[Json]:
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _gemini(payload: Json) -> Iterator[_Found]:
    for candidate in _objects(payload.get("candidates")):
        for part in _objects(_inner(candidate, "content").get("parts")):
            if not part.get("thought"):
                yield "content", candidate.get("index") or 0, part, "text"


def _ollama(payload: Json) -> Iterator[_Found]:
    yield "content", 0, payload, "response"
    yield "content", 0, _inner(payload, "message"), "content"


def _completions(payload: Json) -> Iterator[_Found]:
    for choice in _objects(payload.get("choices")):
        yield "content", choice.get("index") or 0, choice, "text"


_PIECES: dict[str, Callable[[Json], Iterator[_Found]]] = {
    "anthropic_messages": _messages,
    "openai_responses": _responses,
    "cohere_v2": _cohere,
    "gemini": _gemini,
    "ollama": _ollama,
    "openai_completions": _completions,
}
DIALECTS = tuple(_PIECES)
_BLOCKS = ("index", "output_index", "content_index")


def runs(stream: Stream) -> tuple[Completion, list[Run]]:
    """Return what a stream says, and its runs of text and arguments that are all there is of an answer or a call.

    Raises:
        Inapplicable: it is no whole answer, or has no such run.
    """
    dialect = str(stream.dialect)
    try:
        completion = accumulate([stream.body()], dialect=dialect)
    except DialectError:
        raise Inapplicable("it is no whole answer") from None
    found: dict[tuple[str, int], Run] = {}
    for number, payload in stream.payloads:
        for what, index, holder, key in _PIECES[dialect](payload):
            if type(index) is int and isinstance(holder.get(key), str):
                run = found.setdefault((what, index), Run(what, index))
                run.pieces.append(Piece(number, payload, holder, key))
    said = Counter(run.text for run in found.values())  # of two runs that say the same, the whole may stand for either
    calls = Counter(call.arguments for choice in completion.choices for call in choice.tool_calls)
    once = [run for run in found.values() if said[run.text] == 1 and calls[run.text] < 2]
    kept = [run for run in once if run.text and _is_all(run, completion)]
    if not kept:
        raise Inapplicable("no text of it comes in deltas and nowhere else")
    return completion, kept


def _is_all(run: Run, completion: Completion) -> bool:
    if run.what == "content":
        if len({tuple(piece.payload.get(name) for name in _BLOCKS) for piece in run.pieces}) > 1:
            return False  # blocks are kept one by one beside the whole text
        return any(choice.index == run.index and choice.content == run.text for choice in completion.choices)
    calls = [call for choice in completion.choices[:1] for call in choice.tool_calls if call.index == run.index]
    return len(calls) == 1 and calls[0].arguments == run.text and argument_problem(run.text) is None


def rewritten(stream: Stream, run: Run, before: str, numbers: Iterable[int], whole: str | None = None) -> Stream:
    """Return the stream with the pieces of a run as they are now.

    Args:
        stream: the stream.
        run: its pieces were changed in place.
        before: its text before that.
        numbers: of the events whose pieces were changed.
        whole: its text now, where that is not what its pieces add up to letter by letter; the same where None.
    """
    manner = replace(stream.manner, ascii=False)
    events = list(stream.events)
    changed = {piece.number: piece.payload for piece in run.pieces}
    for number in numbers:
        events[number] = events[number].with_data(manner.json(changed[number]))
    if stream.dialect == "openai_responses":
        key = "text" if run.what == "content" else "arguments"
        last = run.pieces[-1].number
        for number, payload in stream.payloads:
            if number > last and (other := _replaced(payload, key, before, whole or run.text)) != payload:
                events[number] = events[number].with_data(manner.json(other))
    return replace(stream, events=tuple(events))


def _replaced(value: Any, key: str, old: str, new: str) -> Any:
    """Return a JSON value with another text wherever the old one stands under a key."""
    if isinstance(value, list):
        return [_replaced(item, key, old, new) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: new if k == key and v == old else _replaced(v, key, old, new) for k, v in value.items()}


def choice_of(run: Run, change: Callable[[Choice], Choice]) -> Callable[[Completion], Completion]:
    """Return a function that changes the choice of a run in a completion."""

    def expected(completion: Completion) -> Completion:
        index = run.index if run.what == "content" else completion.choices[0].index
        return replace(
            completion, choices=tuple(change(one) if one.index == index else one for one in completion.choices)
        )

    return expected


def grown(run: Run, before: str, offset: int, text: str) -> Callable[[Completion], Completion]:
    """Return what a text, put into a run at an offset, makes of a completion."""
    after = before[:offset] + text + before[offset:]

    def change(choice: Choice) -> Choice:
        if run.what == "content":
            kept = {k: v for k, v in choice.extra.items() if k in ("blocks", "items")}
            return replace(choice, content=after, extra={**choice.extra, **_replaced(kept, "text", before, after)})
        calls = (replace(one, arguments=after) if one.index == run.index else one for one in choice.tool_calls)
        return replace(choice, tool_calls=tuple(calls))

    return choice_of(run, change)


def traced(
    stream: Stream, change: Callable[[Completion], Completion] | None = None
) -> Callable[[Completion], Completion]:
    """Return what makes the sensible result of an edit that leaves traces beside the answer, which a reader may keep.

    Texts, calls, reasons and usage are those of the original; the rest is what the dialect's own reader keeps.

    Args:
        stream: the stream after the edit.
        change: what the edit makes of the answer itself; nothing where None.
    """

    def expected(completion: Completion) -> Completion:
        wanted = completion if change is None else change(completion)
        try:
            made = accumulate([stream.body()], dialect=str(stream.dialect))
        except DialectError:
            return wanted
        beside = {one.index: one for one in made.choices}
        choices = tuple(_with_extras(one, beside[one.index]) if one.index in beside else one for one in wanted.choices)
        return replace(wanted, choices=choices, extra=made.extra)

    return expected


def _with_extras(choice: Choice, made: Choice) -> Choice:
    calls = choice.tool_calls
    if len(calls) == len(made.tool_calls):
        calls = tuple(replace(one, extra=other.extra) for one, other in zip(calls, made.tool_calls, strict=True))
    return replace(choice, tool_calls=calls, extra=made.extra)
