"""The table of the planted bugs."""

from __future__ import annotations

from streamkit.fuzz import Report
from streamkit.mutations.registry import mutations
from targets import table

from .planting import Hunt, Planted, hunt, registered


def _planted(name: str) -> Planted:
    return next(one for one in registered("chat") if one.name == name)


def test_a_row_says_how_a_bug_was_caught() -> None:
    found = hunt(_planted("TakesOneCharacterForNoise"))
    cells = dict(zip(table.HEAD, table.row(found), strict=True))
    assert ("TakesOneCharacterForNoise", "split_text") == (cells["bug"], cells["mutation"])
    assert ("preserving", "yes", "1", "0") == (cells["class"], cells["caught"], cells["steps"], cells["cuts"])
    assert 900 < int(cells["cases"]) <= found.report.cases
    assert 200 < int(cells["bytes"]) < 400  # two payloads in place of one
    assert "1 of 1 planted bugs caught" in table.summary([found])


def test_a_bug_that_got_away_is_told() -> None:
    missed = Hunt(_planted("TakesOneCharacterForNoise"), Report("a", 0, cases=7), 0.5)
    assert ("NO", "7", "-") == table.row(missed)[3:6]
    assert "0 of 1 planted bugs caught; 0 s in all" == table.summary([missed])


def test_the_columns_stand_under_their_heads() -> None:
    head, rule, line = table.table([("a long name", *"bcdefghi")]).splitlines()
    assert head.index("mutation") == line.index("b") == len("a long name  ")
    assert set("- ") == set(rule)


def test_every_registry_is_found_and_names_mutations_that_there_are() -> None:
    known = {one.name for one in mutations()}
    planted = registered()
    assert len(registered("chat")) <= len(planted)
    assert set() == {name for one in planted for name in (one.mutation, *one.equals)} - known
    assert len(planted) == len({(one.name, one.mutation) for one in planted})
    assert all(one.why for one in planted if one.equals)
