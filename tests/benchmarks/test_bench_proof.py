"""The benchmark of proofs runs, and measures proofs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def test_it_proves_what_it_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import bench_proof

    monkeypatch.delitem(sys.modules, "bench_proof")
    (table,) = bench_proof.tables(1, "gemini/synthetic_two_candidates")
    assert ["SSEDecoder", "gemini reader", "feed of half the body, copy and pickle alone"] == list(table.rows)
    assert "547 bytes, 149878 feeds" in table.title
