"""The benchmark of decoding, with streams so short that its figures say nothing: what it compares has to be alike."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench_decode as bench
import sse_peers
from sse_peers import data, floor, general, installed, streamkit

BODIES = {"chat": bench.chat(50), "messages": bench.messages(50), "bundled": bench.bundled(1)}
PEERS, MISSING = installed()


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("size", [1, 16, 4096, None])
def test_all_decoders_give_the_same_data(kind: str, size: int | None) -> None:
    chunks = bench.cut(BODIES[kind], size)
    expected = [event.data for event in streamkit([BODIES[kind]])]
    assert expected == [event.data for event in streamkit(chunks)]
    peers = PEERS if kind == "chat" else general(PEERS)
    wrong = {name for name, decode in peers.items() if expected != list(map(data, decode(chunks)))}
    assert set() == wrong


def test_floor_splits_and_slices_what_the_decoders_decode() -> None:
    body = BODIES["chat"]
    for size in (1, 16, 256, None):
        assert [event.data.encode() for event in streamkit([body])] == list(floor(bench.cut(body, size)))


def test_tables_have_a_row_for_each_decoder_and_a_ratio_to_each() -> None:
    decoders = {"streamkit": streamkit, **PEERS}
    table = bench.speeds("title", BODIES["chat"], decoders, 1, (16, None))
    assert (list(decoders), ["16", "whole"]) == (list(table.rows), list(table.columns))
    assert all(figure is not None and figure > 0 for row in table.rows.values() for figure in row)
    assert {f"streamkit to {name}, {size}" for name in PEERS for size in ("16", "whole")} <= set(table.ratios)
    growth = bench.growth(1000, 2, decoders, 1)
    assert (list(decoders), 3) == (list(growth.rows), len(growth.columns))


def test_every_peer_is_measured_or_said_to_be_missing() -> None:
    assert len(sse_peers.PEERS) == len(PEERS) + len(MISSING)
