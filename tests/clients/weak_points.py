"""Weak points that reports name of openai-python: does the installed version have them still?

    python tests/clients/weak_points.py

Each is shown by one mutation of one stream with one target; the engine judges the case. "confirmed" is a weak point
whose case still goes as it is described here, "refuted" one whose case the library handles; each was found so with the
versions in `FOUND_WITH`. Whose doing it is was read in the library's own source.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:  # run by its path: then the folder above this package is not looked in
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clients import openai_client
from clients.openai_outcomes import Shown, shown
from clients.openai_streams import by_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FOUND_WITH", "WEAK_POINTS", "WeakPoint", "main", "versions"]

#: The major version of the library that the verdicts were found with, and the version itself.
FOUND_WITH = (3, "3.57.0")

_PARALLEL = "openai_chat/synthetic_parallel_calls_crlf"
_BOSTON = "openai_chat/boston_weather"
_TEXT = "openai_chat/synthetic_multibyte_text"
_USAGE = "openai_chat/made_text"
_CHOICES = "openai_chat/made_two_choices"
_ANSWER = "openai_responses/made_text"
_CALLS = "openai_responses/made_parallel_calls"


@dataclass(frozen=True)
class WeakPoint:
    """One weak point.

    Attributes:
        says: what the reports say.
        sources: the reports.
        target: the name of the target that shows it.
        stream: the name of the stream.
        step: the mutation, with its choices.
        outcome: what came of it: "same", "typed error", "error" (where a result was due), "crash" or "silent
            difference".
        error: the error's class, where there is one.
        confirmed: whether that is the weak point.
        whose: "library" or "loop".
        why: what in the library's source, or in the loop, makes it so.
    """

    says: str
    sources: tuple[str, ...]
    target: str
    stream: str
    step: str
    outcome: str
    error: str
    confirmed: bool
    whose: str
    why: str

    def now(self) -> Shown:
        """Run the case with the installed version."""
        return shown(getattr(openai_client, self.target), by_name(self.stream), self.step)

    def holds(self, now: Shown) -> bool:
        """Whether an outcome is the one that is described here."""
        return (self.outcome, self.error) == (now.outcome, now.error)


def _point(
    says: str, sources: str, target: str, stream: str, step: str, outcome: str, error: str = "", *,
    why: str, confirmed: bool = True, whose: str = "library",
) -> WeakPoint:  # fmt: skip
    return WeakPoint(says, tuple(sources.split()), target, stream, step, outcome, error, confirmed, whose, why)


_SSE = "`SSEDecoder.decode` dispatches a block that has an id, a retry or a name and no data; its empty data is no JSON"
_ACCUMULATE = "`accumulate_delta` adds one text to another, whatever the key; only `index` and `type` are set anew"
_POSITION = "`tool_calls[index]` and `choices[index]` are positions in a list, which is filled in the order of arrival"
_EOF = "nothing looks at whether a finish reason or `[DONE]` came: the iterator ends where the body does"
_TYPES = "models are built without validation, so what is null or of another type arrives as it is"

WEAK_POINTS: tuple[WeakPoint, ...] = (
    # -- the event stream
    _point("a block with `retry` alone ends the stream with JSONDecodeError",
           "openai/openai-python#2722 openai/openai-python#3833",
           "chat_careful_loop", _BOSTON, "retry_block", "error", "JSONDecodeError", why=_SSE),
    _point("after an `id`, the comments of a keep-alive are dispatched as empty events",
           "theopenco/llmgateway#2334 openai/openai-python#2722",
           "chat_careful_loop", _BOSTON, "sticky_id", "error", "JSONDecodeError", why=_SSE),
    _point("an event with empty data ends the stream with JSONDecodeError",
           "omnigent-ai/omnigent#1474 lidge-jun/opencodex#1188",
           "chat_careful_loop", _BOSTON, "empty_data", "typed error", "JSONDecodeError",
           why="the event is dispatched, as the standard says, and its data is taken for JSON"),
    _point("a byte order mark loses the first event", "openai/openai-python#3819",
           "chat_careful_loop", _BOSTON, "bom", "silent difference",
           why="nothing takes it off: the first field is named U+FEFF and `data`, and is ignored"),
    _point("U+2028, U+2029 and U+0085 inside a text are taken for line ends", "openai/openai-python#1230",
           "chat_careful_loop", _TEXT, "unicode_separators", "same", confirmed=False,
           why="`_SSELineDecoder` splits bytes, at CR and LF only"),
    _point("a field without the space after the colon is not read", "openai/openai-python#498",
           "chat_careful_loop", _BOSTON, "space_after_colon", "same", confirmed=False,
           why="the space is taken off where there is one"),
    _point("the last event is lost where no blank line follows it", "openai/openai-node#2725",
           "chat_helper", _BOSTON, "unterminated_last_event(0,1)", "silent difference",
           why="the rest is discarded, as the standard says, and the lost finish reason is not missed: " + _EOF),
    # -- what a chunk may hold
    _point("explicit null where a field was absent fails an assertion of the helper",
           "pgadmin-org/pgadmin4#9828 lipish/llm-connector#15",
           "chat_helper", _BOSTON, "null_absent", "crash", "AssertionError",
           why="`accumulate_delta` sets `type` anew, to null, and the snapshot's call is then of no type"),
    _point("a list of objects without `index` raises RuntimeError in the helper",
           "openai/openai-python#3201 zed-industries/zed#42893",
           "chat_helper", _USAGE, "unknown_fields(0,0,0,1)", "error", "RuntimeError",
           why="`accumulate_delta` merges every list of objects by `index`, those of unknown fields too"),
    _point("a filter's event with an empty `object` fails an assertion of the helper",
           "openai/openai-python#1677 openai/openai-node#1982",
           "chat_helper", _BOSTON, "azure_noise", "same", confirmed=False,
           why="`_is_valid_chat_completion_chunk_weak` passes over what is no `chat.completion.chunk`"),
    _point("chunks with an empty `object`, as relays send them, fail an assertion of the helper",
           "microsoft/foundry-local#144 openai/openai-node#1982",
           "chat_helper", _BOSTON, "identity_churn(3)", "crash", "AssertionError",
           why="all of them are passed over as no chunks, and then it asserts that there was one"),
    _point("a choice without a delta ends the loop", "openai/openai-python#1677 langchain-ai/langchain#18977",
           "chat_loop", _BOSTON, "azure_noise(1)", "crash", "AttributeError", whose="loop",
           why="it reads `choice.delta.content`; " + _TYPES),
    _point("`choices` that are null end the helper with TypeError", "openai/openai-python#1677",
           "chat_helper", _BOSTON, "choices_null", "crash", "TypeError", why=_TYPES),
    _point("usage is lost where a chunk with null usage follows it", "langfuse/langfuse-python#1648",
           "chat_helper", _USAGE, "usage_null_after", "silent difference",
           why="`_accumulate_chunk` assigns `snapshot.usage = chunk.usage`, whatever came before"),
    _point("a role in every delta gives `assistantassistant`", "BerriAI/litellm#9986",
           "chat_helper", _BOSTON, "role_repeated", "silent difference", why=_ACCUMULATE),
    # -- tool calls
    _point("calls without an index end the helper with TypeError",
           "openai/openai-python#2806 openai/openai-python#3246 openai/openai-python#3410",
           "chat_helper", _BOSTON, "drop_index", "crash", "TypeError", why="a null index is taken for a position"),
    _point("parallel calls that all have the index 0 become one call",
           "ollama/ollama#15457 vercel/ai#14277 BerriAI/litellm#33678",
           "chat_helper", _PARALLEL, "collapse_index", "silent difference", why=_ACCUMULATE),
    _point("indexes with gaps, or from 1 on, raise IndexError in the helper",
           "vercel/ai#18333 openai/openai-python#3245",
           "chat_helper", _BOSTON, "renumber_index", "crash", "IndexError", why=_POSITION),
    _point("the call with the index 1 before that with 0 raises IndexError in the helper", "openai/openai-python#3245",
           "chat_helper", _PARALLEL, "index_out_of_order", "crash", "IndexError", why=_POSITION),
    _point("an id and a name on every fragment are concatenated by the helper",
           "ggml-org/llama.cpp#13774 spring-projects/spring-ai#5974",
           "chat_helper", _BOSTON, "repeat_id_name", "silent difference", why=_ACCUMULATE),
    _point("a fresh id on every fragment is concatenated by the helper",
           "poolsideai/pool#9 NousResearch/hermes-agent#106943",
           "chat_helper", _BOSTON, "id_churn", "silent difference", why=_ACCUMULATE),
    _point("an entry whose function is null fails an assertion of the helper", "endolith/open-interpreter#254",
           "chat_helper", _BOSTON, "function_null", "crash", "AssertionError",
           why="`_build_events` asserts that there is a function"),
    _point("two fragments of one call in one chunk lose the first",
           "openai/openai-python#3201 openai/openai-python#3425",
           "chat_helper", _BOSTON, "coalesce_calls(2)", "same", confirmed=False,
           why="`accumulate_delta` merges also the first list, entry by entry"),
    _point("a name in two pieces loses the first or the second in the documented loop", "NVIDIA-NeMo/Switchyard#785",
           "chat_loop", _BOSTON, "split_name", "silent difference", whose="loop",
           why="the entry that opened the call is kept, and nothing but arguments is appended to it"),
    _point("arguments in the entry that opens a call are doubled by the documented loop",
           "ggml-org/llama.cpp#22722",
           "chat_loop", _BOSTON, "opener_with_arguments", "silent difference", whose="loop",
           why="the entry becomes the call, and then its own arguments are appended to it"),
    _point("the second of two choices that comes first raises IndexError in the helper", "openai/openai-go#428",
           "chat_helper", _CHOICES, "n_interleave(2)", "crash", "IndexError", why=_POSITION),
    # -- the end, and errors
    _point("a body that ends inside a text raises nothing", "openai/openai-python#2487",
           "chat_helper", _TEXT, "bare_eof", "silent difference", why=_EOF),
    _point("a body that ends inside a call's arguments raises nothing", "NousResearch/hermes-agent#80623",
           "chat_helper", _BOSTON, "cut_in_arguments", "silent difference", why=_EOF),
    _point("an answer that `length` cut off inside arguments is handed out by the helper",
           "langchain-ai/langchainjs#11469",
           "chat_helper", _BOSTON, "length_mid_args", "typed error", "LengthFinishReasonError", confirmed=False,
           why="a finish reason `length` raises, tools or not"),
    _point("an error event that holds its fields itself is passed over",
           "openai/openai-python#2487 openai/openai-python#2796",
           "chat_helper", _BOSTON, "error_event(1)", "silent difference",
           why="only a payload with a key `error` raises; the name of the event is not looked at"),
    _point("an error in the middle, in an object, is passed over", "diegosouzapw/OmniRoute#8210",
           "chat_helper", _BOSTON, "error_event", "typed error", "APIError", confirmed=False,
           why="a payload with a key `error` raises `APIError`"),
    # -- Responses
    _point("a delta of arguments before its item raises RuntimeError in the helper", "lefoulkrod/computron_9000#61",
           "responses_helper", _CALLS, "responses_delta_before_item", "typed error", "RuntimeError",
           why="`_get_output_item` knows no item at that index yet"),
    _point("without `response.created` the helper raises RuntimeError", "BerriAI/litellm#9545",
           "responses_helper", _ANSWER, "responses_no_created", "typed error", "RuntimeError",
           why="`_create_initial_response` takes no other event first"),
    _point("an empty output in `response.completed` is what the helper returns",
           "Oaklight/llm-rosetta#56 NVIDIA-NeMo/Switchyard#777",
           "responses_helper", _ANSWER, "responses_empty_output", "silent difference",
           why="finished items are put in where the output is null, not where it is an empty list"),
    _point("`response.incomplete` is no result but a RuntimeError without its reason",
           "BerriAI/litellm#37710 microsoft/agent-framework#7051",
           "responses_helper", _ANSWER, "responses_incomplete", "typed error", "RuntimeError",
           why="`get_final_response` knows `response.completed` alone"),
    _point("`response.failed` is a RuntimeError without its code", "BerriAI/litellm#29223",
           "responses_helper", _ANSWER, "responses_failed", "typed error", "RuntimeError",
           why="`get_final_response` knows `response.completed` alone"),
    _point("a flat error event ends a loop over the events quietly",
           "openai/openai-python#2487 openai/openai-python#3587 openai/openai-python#3934",
           "responses_loop", _ANSWER, "responses_error", "silent difference",
           why="only a payload with a key `error` raises: the flat one is yielded as an event of the type `error`"),
    _point("an event `keepalive`, which no reference names, breaks the client", "openai/openai-node#1964",
           "responses_helper", _ANSWER, "responses_keepalive", "same", confirmed=False,
           why="an event of an unknown type is handed on"),
    _point("a foreign event before `response.created` raises RuntimeError in the helper", "openai/openai-node#1964",
           "responses_helper", _ANSWER, "foreign_events", "typed error", "RuntimeError",
           why="`_create_initial_response` takes no other event first"),
    _point("an item that is announced with few fields ends the helper with AttributeError", "64bit/async-openai#548",
           "responses_helper", _ANSWER, "responses_bare_items", "crash", "AttributeError",
           why="content that is absent is null, and the parts are appended to it"),
)  # fmt: skip


def versions() -> tuple[str, bool]:
    """Return the installed version of the library, and whether the verdicts are of the same major version."""
    import openai

    version: str = openai.__version__
    return version, int(version.partition(".")[0]) == FOUND_WITH[0]


def _lines() -> Iterator[str]:
    version, _ = versions()
    yield f"openai {version}; the verdicts were found with {FOUND_WITH[1]}"
    for point in WEAK_POINTS:
        now = point.now()
        verdict = ("confirmed" if point.confirmed else "refuted") if point.holds(now) else "CHANGED"
        yield ""
        yield f"{verdict}: {point.says} ({', '.join(point.sources)})"
        yield f"  {point.target}, {point.step}: {now.told}" + ("" if point.holds(now) else f"; was {point.outcome}")
        yield f"  the {point.whose}: {point.why}"
        yield f"  python tests/clients/openai_table.py --replay '{now.token}'"


def main() -> int:
    """Print the table; 1 where something is no longer as it was found."""
    changed = 0
    for line in _lines():
        changed += line.startswith("CHANGED")
        print(line, flush=True)
    return min(changed, 1)


if __name__ == "__main__":
    sys.exit(main())
