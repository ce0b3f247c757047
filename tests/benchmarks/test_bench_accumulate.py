"""The benchmark of accumulation runs, and measures what it says: never how long that takes."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from streamkit import dialects


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The module, as the command loads it; without Node, which is slow to start."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    module = importlib.import_module("bench_accumulate")
    monkeypatch.setattr(module, "NODE", tmp_path)
    return module


@pytest.mark.parametrize("kind", ["content", "arguments", "logprobs", "responses"])
def test_all_subjects_are_measured_at_all_sizes_that_are_theirs(bench: Any, kind: str, tmp_path: Path) -> None:
    table = bench.table(kind, (20, 50), 1, tmp_path)
    names = {name.split()[0].strip(",") for name in table.rows}
    missing = {note.split()[0] for note in table.notes if note.endswith("is not installed")}
    expected = {"streamkit", "floor:", "openai", *([] if kind == "responses" else ["litellm"])}
    assert expected - missing == names
    assert ["20", "50", "growth"] == list(table.columns)
    for name, figures in table.rows.items():
        assert len(table.columns) == len(figures), name
        assert all(figure is not None for figure in figures), name
    assert {f"{name} / streamkit, 50 deltas" for name in table.rows if not name.startswith("streamkit")} == set(
        table.ratios
    )
    assert any("synthetic" in note for note in table.notes)


@pytest.mark.parametrize("kind", ["content", "arguments", "logprobs", "responses"])
def test_subjects_agree_on_the_text(bench: Any, kind: str) -> None:
    text = bench.agreed(kind, bench.peers(kind, []), 30)
    piece = importlib.import_module("answers").piece
    assert "".join(map(piece, range(28 if kind == "arguments" else 30))) in text


def test_a_subject_that_reads_another_text_is_told_of(bench: Any) -> None:
    with pytest.raises(AssertionError, match="other reads 'x'"):
        bench.agreed("content", {"other": lambda raw: "x"})


@pytest.mark.parametrize("kind", ["content", "arguments", "logprobs", "responses"])
def test_the_answers_that_are_read_are_whole(bench: Any, kind: str) -> None:
    dialect = dialects.get("openai_responses" if kind == "responses" else "openai_chat")
    reader = dialect.reader()
    reader.feed(bench.body(kind, 40))
    result = reader.result()
    assert result.ended
    assert all(call.executable for call in result.tool_calls)
    assert (40 if kind == "logprobs" else 0) == len((result.choices[0].logprobs or {"content": []})["content"])
    assert 40 <= len([json.loads(data) for data in bench.data_of(bench.body(kind, 40))])


def test_chunks_are_the_body(bench: Any) -> None:
    raw = bench.body("content", 100)
    assert raw == b"".join(bench.chunked(raw))
    assert {bench.CHUNK} == {len(chunk) for chunk in list(bench.chunked(raw))[:-1]}
