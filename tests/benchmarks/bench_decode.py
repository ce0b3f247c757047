"""Bytes to events: how many megabytes a second decoders of event streams take, by the size of the chunks.

Three kinds of streams: chat completion deltas (one LF-ended data line an event), messages as Anthropic sends them (an
event line and a data line), and the bundled transcripts one after the other, which mix both with CRLF, ids and
comments. And one event of megabytes in small chunks, where what counts is that twice the bytes take twice the time.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from functools import partial

from measure import Table, interleaved
from sse_peers import Decode, floor, general, installed, streamkit

from streamkit.cassettes import bundled as streams

__all__ = ["bundled", "chat", "cut", "growth", "messages", "speeds", "tables"]

SIZES = (1, 16, 256, 4096, 65536, None)  # bytes of a chunk; None for the whole body
OURS, FLOOR = "streamkit", "floor: join, split, slice"


def chat(deltas: int) -> bytes:
    """Return a synthetic chat completion stream of as many content deltas, all of it ASCII."""
    events = (
        {
            "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": "gpt-4o-2024-08-06",
            "service_tier": "default",
            "system_fingerprint": "fp_0123456789",
            "choices": [{"index": 0, "delta": {"content": f" word{n % 977}"}, "logprobs": None, "finish_reason": None}],
            "usage": None,
        }
        for n in range(deltas)
    )
    return b"".join(b"data: %s\n\n" % json.dumps(event, separators=(",", ":")).encode() for event in events)


def messages(deltas: int) -> bytes:
    """Return a synthetic stream of content block deltas as Anthropic's API sends them; every tenth is not ASCII."""
    texts = (f" word{n % 977}" + ("é" if n % 10 == 0 else "") for n in range(deltas))
    deltas_of = ({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in texts)
    return b"".join(
        b"event: content_block_delta\ndata: %s\n\n" % json.dumps(delta, ensure_ascii=False).encode()
        for delta in deltas_of
    )


def bundled(least: int) -> bytes:
    """Return all bundled event streams one after the other, again and again, up to at least so many bytes.

    None of them ends inside an event, or begins with a byte order mark.
    """
    bodies = [one.body for one in streams()]
    once = b"".join(body for body in bodies if body.startswith((b"data:", b"event:", b"id:", b":")))
    return once * -(-least // len(once))


def consume(decode: Decode, chunks: list[bytes]) -> None:
    """Take the events one after the other, and keep none."""
    deque(decode(chunks), maxlen=0)


def cut(body: bytes, size: int | None) -> list[bytes]:
    """Return the body in chunks of that many bytes."""
    return [body] if size is None else [body[at : at + size] for at in range(0, len(body), size)]


def speeds(
    title: str, body: bytes, decoders: Mapping[str, Decode], rounds: int, sizes: tuple[int | None, ...] = SIZES
) -> Table:
    """Measure all decoders on one body at all chunk sizes.

    Args:
        title: what the body is.
        body: the stream.
        decoders: by name; the ratios are those of the first to each of the others.
        rounds: how often each is measured.
        sizes: bytes of a chunk; None for the whole body in one.
    """
    found: dict[str, list[float | None]] = {name: [] for name in decoders}
    for size in sizes:
        # The smallest chunks cost most; a part of the body is enough for them.
        part = body[: body.rfind(b"\n\n", 0, len(body) // 8) + 2] if size is not None and size < 64 else body
        chunks = cut(part, size)
        seconds = interleaved({name: partial(consume, decode, chunks) for name, decode in decoders.items()}, rounds)
        for name, took in seconds.items():
            found[name].append(len(part) / took / 1e6)
    table = Table(title, [_called(size) for size in sizes], dict(found))
    table.notes.append(
        f"{len(body) / 1e6:.1f} MB, {sum(1 for _ in streamkit([body]))} events; the columns are bytes of a chunk"
    )
    ours, *others = (name for name in found if name != FLOOR)
    for other in others:
        ratios = _ratios(found[ours], found[other])
        table.ratios.update({f"{ours} to {other}, {_called(s)}": r for s, r in zip(sizes, ratios, strict=True)})
    for place, size in enumerate(sizes):
        if others:
            fastest = max(others, key=lambda name, place=place: found[name][place] or 0)  # type: ignore[misc]
            table.ratios[f"{ours} to the fastest peer ({fastest}), {_called(size)}"] = _ratios(
                found[ours], found[fastest]
            )[place]
    return table


def growth(small: int, factor: int, decoders: Mapping[str, Decode], rounds: int, chunk: int = 1024) -> Table:
    """Measure one event of `small` bytes, and of `factor` times as many, in small chunks.

    Args:
        small: bytes of the data of the smaller event.
        factor: how many times as large the other is.
        decoders: by name.
        rounds: how often each is measured.
        chunk: bytes of a chunk.
    """
    chunks = [cut(b"data: " + b"x" * size + b"\n\n", chunk) for size in (small, small * factor)]
    less, more = (
        interleaved({name: partial(consume, decode, one) for name, decode in decoders.items()}, rounds)
        for one in chunks
    )
    columns = [f"{small / 1e6:g} MB", f"{small * factor / 1e6:g} MB", "growth"]
    rows = {name: [less[name] * 1e3, more[name] * 1e3, more[name] / less[name]] for name in decoders}
    table = Table(f"one event in chunks of {chunk} bytes, milliseconds", columns, dict(rows))
    table.notes.append(f"a decoder that takes each byte once grows by {factor}")
    return table


def tables(rounds: int) -> list[Table]:
    """Measure everything."""
    peers, notes = installed()
    decoders: dict[str, Decode] = {OURS: streamkit, **peers}
    found = [
        speeds("chat completion deltas, MB/s", chat(20_000), {**decoders, FLOOR: floor}, rounds),
        speeds("event and data lines, MB/s", messages(20_000), general(decoders), rounds),
        speeds("the bundled transcripts, MB/s", bundled(4_000_000), general(decoders), rounds),
        growth(2_000_000, 4, decoders, min(rounds, 3)),
    ]
    for table in found:
        table.notes += notes
    return found


def _called(size: int | None) -> str:
    return "whole" if size is None else str(size)


def _ratios(ours: list[float | None], others: list[float | None]) -> list[float]:
    return [(one or 0) / other if other else float("inf") for one, other in zip(ours, others, strict=True)]
