"""The benchmark of cassettes: the generated ones are as large as they should be, and both libraries read the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_cassettes import agree, generated, tables, vcrpy_dump, vcrpy_load

from streamkit.cassettes.format import parse
from streamkit.cassettes.library import bundled_folder
from streamkit.cassettes.writing import dump


def test_a_generated_cassette_has_its_size_and_survives_the_file() -> None:
    cassette = generated(60_000)
    assert 60_000 <= sum(len(transcript.body) for transcript in cassette.transcripts) < 120_000
    assert [one.body for one in cassette.transcripts] == [one.body for one in parse(dump(cassette)).transcripts]


def test_vcrpy_reads_the_same_bodies(tmp_path: Path) -> None:
    pytest.importorskip("vcr")
    path = tmp_path / "generated.yaml"
    path.write_bytes(dump(generated(60_000)))
    assert agree(path)
    assert agree(bundled_folder() / "openai_chat" / "boston_weather.yaml")


def test_what_vcrpy_writes_reads_as_the_same_bodies(tmp_path: Path) -> None:
    pytest.importorskip("vcr")
    path = tmp_path / "generated.yaml"
    cassette = generated(1000)
    path.write_bytes(dump(cassette))
    again = parse(vcrpy_dump(*vcrpy_load(path)).encode())
    assert [one.body for one in cassette.transcripts] == [one.body for one in again.transcripts]


def test_every_cassette_has_a_row_in_both_tables() -> None:
    pytest.importorskip("vcr")
    load, save = tables(1, sizes=(1000,))
    assert 2 == len(load.rows) == len(load.ratios)
    assert list(load.rows) == list(save.rows)
    assert all(figure and figure > 0 for table in (load, save) for row in table.rows.values() for figure in row)
