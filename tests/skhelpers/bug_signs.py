"""How a shape is seen in a stream: for each of most shapes, a sign that a mutated body must have and the original not.

The numbers are those of `bug_shapes`. A shape without a sign is one of cuts, of the transport, or of plain damage.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.mutations.stream import Stream

__all__ = ["SIGNS"]


def has(pattern: bytes) -> Callable[[Stream], bool]:
    """Return a sign: the body holds a pattern; `^` and `$` stand at lines, `.` for any byte but a line end."""
    return lambda stream: re.search(pattern, stream.body(), re.MULTILINE) is not None


def across(pattern: bytes) -> Callable[[Stream], bool]:
    """Return a sign: the body holds a pattern, in which `.` may be a line end."""
    return lambda stream: re.search(pattern, stream.body(), re.MULTILINE | re.DOTALL) is not None


def lacks(pattern: bytes) -> Callable[[Stream], bool]:
    """Return a sign: the body holds no such thing."""
    return lambda stream: re.search(pattern, stream.body()) is None


def deltas(stream: Stream) -> list[dict[str, Any]]:
    """Return the deltas of chat."""
    return [
        choice["delta"]
        for _, payload in stream.payloads
        for choice in payload.get("choices") or []
        if isinstance(choice.get("delta"), dict)
    ]


def groups(stream: Stream) -> list[list[dict[str, Any]]]:
    """Return the `tool_calls` of each delta that has some."""
    return [delta["tool_calls"] for delta in deltas(stream) if delta.get("tool_calls")]


def fragments(stream: Stream) -> list[dict[str, Any]]:
    """Return all entries of `tool_calls`."""
    return [entry for group in groups(stream) for entry in group]


def function(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry says of its function."""
    return entry.get("function") or {}


def ids_at(stream: Stream) -> dict[Any, list[str]]:
    """Return the ids that come at each index, in order."""
    found: dict[Any, list[str]] = defaultdict(list)
    for entry in fragments(stream):
        if entry.get("id"):
            found[entry.get("index")].append(entry["id"])
    return found


def indexes(stream: Stream) -> list[Any]:
    """Return the index of each entry, in order."""
    return [entry.get("index") for entry in fragments(stream)]


def finishes(stream: Stream) -> list[Any]:
    """Return every finish reason, in order."""
    return [
        choice.get("finish_reason")
        for _, payload in stream.payloads
        for choice in payload.get("choices") or []
        if choice
    ]


def texts(stream: Stream, key: str = "content") -> list[Any]:
    """Return what stands under a key of each delta, in order."""
    return [delta[key] for delta in deltas(stream) if delta.get(key)]


def types(stream: Stream) -> list[Any]:
    """Return the types of the events of Responses or Messages."""
    return [payload.get("type") for _, payload in stream.payloads]


def blocks(stream: Stream) -> list[Any]:
    """Return the indexes of the blocks of a message, as they begin."""
    return [one.get("index") for _, one in stream.payloads if one.get("type") == "content_block_start"]


def turns(stream: Stream) -> bool:
    """Say whether a call's entries go on after those of another."""
    order = [index for n, index in enumerate(indexes(stream)) if n == 0 or indexes(stream)[n - 1] != index]
    return len(order) > len(set(order))


def named_late(stream: Stream) -> bool:
    """Say whether a call's arguments come before its name."""
    first = fragments(stream)[0]
    return not function(first).get("name") and bool(function(first).get("arguments"))


def echoed(stream: Stream) -> bool:
    """Say whether a delta of text or arguments is that before it once more."""
    said = [function(entry).get("arguments") for entry in fragments(stream)]
    return any(a and a == b for found in (said, texts(stream)) for a, b in pairwise(found))


def cumulative(stream: Stream) -> bool:
    """Say whether each text begins with the one before it."""
    found = texts(stream)
    return len(found) > 1 and all(b.startswith(a) for a, b in pairwise(found))


def last_call(stream: Stream) -> dict[str, Any]:
    """Return what the last event says of a function; nothing where it is no payload with a call."""
    payload = stream.events[-1].payload or {}
    calls = [one for choice in payload.get("choices") or [] for one in choice["delta"].get("tool_calls") or []]
    return function(calls[-1]) if calls else {}


def ends_in_arguments(stream: Stream) -> bool:
    """Say whether the last payload brings a piece of arguments, and nothing follows it."""
    return bool(last_call(stream).get("arguments"))


def ends_with_opener(stream: Stream) -> bool:
    """Say whether the last payload opens a call, without arguments."""
    return bool(last_call(stream).get("name")) and not last_call(stream).get("arguments")


def half_arguments(stream: Stream) -> bool:
    """Say whether a call's arguments stop before their closing brace."""
    said: dict[Any, str] = defaultdict(str)
    for entry in fragments(stream):
        said[entry.get("index")] += function(entry).get("arguments") or ""
    return any(text and not text.rstrip().endswith("}") for text in said.values())


SIGNS: dict[str, Callable[[Stream], bool]] = {
    "L0-04": has(rb"\}\r\n\r\n"),
    "L0-05": has(rb"\}\r\n\r\n"),
    "L0-06": has(rb'content":"[^"]*\xe2\x80\xa8'),
    "L0-07": has(rb'arguments":"([^"\\]|\\.)*\xe2\x80\xa8'),
    "L0-09": has(rb"[^\n]{66000}"),
    "L0-10": has(rb'content":"[^"]*data: '),
    "L1-01": has(rb"^: OPENROUTER PROCESSING\n\n"),
    "L1-02": has(rb"^:\n\n"),
    "L1-03": has(rb"^retry: 3000\n\n"),
    "L1-04": across(rb"^id: 1\n.*\n\n: ping\n\n"),
    "L1-05": has(rb"^data:\n\n"),
    "L1-06": has(rb"^data: : keepalive\n\n"),
    "L1-07": has(rb"^data:\[DONE\]"),
    "L1-08": has(rb"^data:   \{"),
    "L1-09": has(rb"\A\xef\xbb\xbfdata"),
    "L1-10": has(rb"\}\r\r"),
    "L1-11": has(rb"^data: \{\ndata: "),
    "L1-12": has(rb"\[DONE\]\n?\Z"),
    "L1-13": has(rb"^data: DONE$"),
    "L1-14": lacks(rb"\[DONE\]"),
    "L1-15": across(rb"\[DONE\]\n\ndata: \{"),
    "L1-17": has(rb"^event: ping$"),
    "L1-18": has(rb'^\{"error":'),
    "L2-01": has(rb'"name":null.*"id":null'),
    "L2-02": has(rb'"delta":\{[^}]*"x_unknown":\[\{"a":1\}\]'),
    "L2-03": has(rb'"tool_calls":\[\{.*"extra_content":\{"google"'),
    "L2-04": has(rb'"usage":\{\}'),
    "L2-05": has(rb"\\ud83c\\udf0d"),
    "L2-06": across(rb'\\ud83c".*"\\udf0d'),
    "L2-07": has(rb'"arguments":"[^"]*\\\\"'),
    "L2-08": has(rb'"logprob":-Infinity'),
    "L2-09": has(rb'arguments":"([^"\\]|\\.)*\}\{'),
    "L2-10": has(rb'^data: \{"id": "'),
    "L2-12": has(rb"\xff\xfe"),
    "L2-13": has(rb'"choices":\[\{\}\]'),
    "L3-01": has(rb'"id":"".*"choices":\[\],"prompt_filter_results"'),
    "L3-02": has(rb'"delta":null'),
    "L3-03": has(rb'"choices":\[\],"usage":\{'),
    "L3-04": lambda s: sum(bool(one.get("usage")) for _, one in s.payloads) > 2,
    "L3-05": has(rb'"finish_reason":"\w+"\}\],"usage":\{'),
    "L3-06": across(rb'"usage":\{.*"usage":null\}\n\ndata: \[DONE\]'),
    "L3-07": lambda s: len(fragments(s)) > 2 and set(indexes(s)) == {None},
    "L3-08": lambda s: len(set(ids_at(s)[0])) > 1,
    "L3-09": lambda s: bool(indexes(s)) and 0 not in indexes(s),
    "L3-10": lambda s: set(indexes(s)) == {-1},
    "L3-11": lambda s: [1, 0] == list(dict.fromkeys(indexes(s))),
    "L3-12": lambda s: len({one for one, ids in ids_at(s).items() if ids[0] == ids_at(s)[0][0]}) > 1,
    "L3-13": lambda s: any(ids_at(s)[0][0] in ids for index, ids in ids_at(s).items() if index),
    "L3-14": lambda s: any(len(group) > len({one.get("index") for one in group}) for group in groups(s)),
    "L3-15": lambda s: any(len(one.get("choices") or []) > 1 for _, one in s.payloads),
    "L3-16": lambda s: any(len({one.get("index") for one in group}) > 1 for group in groups(s)),
    "L3-17": turns,
    "L3-18": lambda s: len(ids_at(s)[0]) > 2 and len(set(ids_at(s)[0])) == 1,
    "L3-19": lambda s: len(fragments(s)) > 2 and all(function(one).get("name") for one in fragments(s)),
    "L3-20": lambda s: len({n for one in fragments(s) if (n := function(one).get("name"))}) == 2,
    "L3-21": lambda s: bool(fragments(s)) and named_late(s),
    "L3-22": lambda s: any(one.get("id") == "" and function(one).get("name") == "" for one in fragments(s)),
    "L3-23": lambda s: bool(fragments(s)) and not ids_at(s),
    "L3-24": lambda s: len(set(ids_at(s)[0])) == len(fragments(s)) > 2,
    "L3-25": lambda s: bool(fragments(s)) and not any(one.get("type") for one in fragments(s)),
    "L3-26": has(rb'"name":"\w+","arguments":null'),
    "L3-27": has(rb'"function":null'),
    "L3-28": has(rb'"arguments":\{"'),
    "L3-29": lambda s: bool(fragments(s)) and not function(fragments(s)[-1]).get("arguments"),
    "L3-30": lambda s: any(function(one).get("arguments") == "{}" for one in fragments(s)),
    "L3-31": lambda s: len(fragments(s)) == len(ids_at(s)) > 0,
    "L3-32": lambda s: len(fragments(s)) > 1 and function(fragments(s)[-1]).get("arguments") == "",
    "L3-33": lambda s: (
        len(fragments(s)) > 1 and function(fragments(s)[-1]).get("name") is not None and len(ids_at(s)) == 1
    ),
    "L3-34": cumulative,
    "L3-35": lambda s: any(one.get("content") and one.get("tool_calls") for one in deltas(s)),
    "L3-36": has(rb'"tool_calls":\[\]'),
    "L3-37": lambda s: any(one.get("content") == "" and one.get("tool_calls") for one in deltas(s)),
    "L3-38": lambda s: bool(fragments(s)) and "stop" in finishes(s),
    "L3-39": has(rb'"(content|arguments)":"[^"]+.*"finish_reason":"\w+"'),
    "L3-40": lambda s: "" in finishes(s),
    "L3-41": lambda s: finishes(s)[:2] == ["stop", "stop"],
    "L3-42": lambda s: ["tool_calls", "stop"] == [one for one in finishes(s) if one],
    "L3-43": lambda s: not any(finishes(s)) and any(event.done for event in s.events),
    "L3-44": across(rb'"finish_reason":"\w+".*"choices":\[\],"usage":\{'),
    "L3-45": lambda s: sum(bool(one.get("role")) for one in deltas(s)) > 2,
    "L3-46": has(rb'"role":""'),
    "L3-47": lambda s: len({one.get("id") for _, one in s.payloads}) > 2,
    "L3-48": has(rb'"choices":\[\{"index":1'),
    "L3-50": has(rb'"reasoning":"[^"]+","reasoning_content":"'),
    "L3-51": across(rb'content":"<(t|th|thi|thin|think)"'),
    "L3-52": has(rb'"content":\[\{"type":"text"'),
    "L3-53": lambda s: len(texts(s, "refusal")) > 1,
    "L3-54": has(rb'"function_call":\{"name"'),
    "L3-55": lambda s: len(fragments(s)) > 12,
    "L3-56": has(rb'"delta":\{"audio"'),
    "L3-57": half_arguments,
    "R-01": has(rb'"type":"keepalive"'),
    "R-02": lambda s: (
        "response.function_call_arguments.done" in types(s) and "response.function_call_arguments.delta" not in types(s)
    ),
    "R-03": across(rb'arguments\.delta","[^\n]*"output_index":1.*item\.added","[^\n]*"output_index":1'),
    "R-04": lambda s: types(s)[:1] == ["response.in_progress"],
    "R-05": has(rb'"type":"response\.completed".*"output":\[\]'),
    "R-06": has(rb'"type":"response\.incomplete"'),
    "R-07": has(rb'"type":"error","code"'),
    "R-08": lacks(rb"sequence_number"),
    "R-09": lambda s: "response.output_item.done" in types(s) and not any("arguments" in str(one) for one in types(s)),
    "R-10": has(rb'"object":"chat\.completion\.chunk"'),
    "R-11": has(rb'"type":"file_search_call"'),
    "A-01": lambda s: s.body().count(b'"partial_json":""') > 2,
    "A-02": across(rb'_start","index":0.*_start","index":1.*_delta","index":0'),
    "A-03": lambda s: blocks(s) != list(range(len(blocks(s)))),
    "A-04": has(rb'"type":"tool_use".*"input":\{"'),
    "A-05": across(rb'"type":"tool_use"[^\n]*\n\n.*"text_delta"'),
    "A-06": has(rb'"type":"future_block"'),
    "A-07": lambda s: types(s).count("message_delta") == 2,
    "A-08": across(rb'\n\ndata: \{"type":"error"'),
    "A-09": lambda s: "message_stop" not in types(s),
    "A-10": has(rb'"stop_reason":"max_tokens"'),
    "L4-01": across(rb'"error":\{.*\[DONE\]'),
    "L4-02": across(rb'^event: error\ndata: \{"type":"error","(code|message)"'),
    "L4-03": lambda s: bool(texts(s)) and not any(finishes(s)) and not s.events[-1].done,
    "L4-04": lambda s: ends_in_arguments(s) and half_arguments(s),
    "L4-05": ends_with_opener,
    "L4-06": lambda s: ends_in_arguments(s) and not half_arguments(s),
    "L4-07": lambda s: bool(s.tail),
    "L4-09": lambda s: half_arguments(s) and "length" in finishes(s),
    "L4-10": lambda s: half_arguments(s) and "tool_calls" in finishes(s),
    "L4-11": has(rb"\A<html>"),
    "L4-14": lambda s: b'"error"' in s.write(s.events[0]),
}
