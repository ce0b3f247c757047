"""The benchmark of proofs runs, and measures proofs."""

from __future__ import annotations

from bench_proof import tables


def test_it_proves_what_it_times() -> None:
    (table,) = tables(1, "gemini/synthetic_two_candidates")
    assert ["SSEDecoder", "gemini reader", "feed of half the body, copy and pickle alone"] == list(table.rows)
    assert "547 bytes, 149878 feeds" in table.title
