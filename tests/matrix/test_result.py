"""What is written of a matrix: the JSON, the Markdown, and what has changed since an earlier one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamkit.errors import UsageError
from streamkit.fuzz.mutating import OUTCOMES
from streamkit.matrix import Client, Matrix, Plan, Row, changes, load_matrix, markdown
from streamkit.matrix.cells import INAPPLICABLE, UNTRIED, Cell, Part
from streamkit.matrix.markdown import MARKS

ASKED = ("bom", "comments", "collapse_index", "truncate", "gemini_cut")
NOTES = {"bom": "client: the mark is taken for a field", "comments": "ours: mended since"}
SAME = Cell("same")


def silent(transcript: str) -> Cell:
    return Cell("silent difference", "", "bom changes the result", f"sk1:{transcript}:bom", "content", "'a|b'", "''")


def row(name: str = "one", **cells: Cell) -> Row:
    """Return the row of a client on two transcripts, the same on both but for the first's cells that are given."""
    client = Client(name, target="package:parse", dialect="openai_chat", notes=NOTES)
    parts = [
        Part(
            "first", "openai_chat", SAME, SAME, {"bom": SAME, "comments": SAME, **cells}, cases=10, cuts_tried=(8, 99)
        ),
        Part(
            "second",
            "openai_chat",
            SAME,
            SAME,
            {"bom": SAME},
            {"collapse_index": "no choice has 2 tool calls"},
            cases=5,
        ),
    ]
    return Row(client, ASKED, "1.2.3", parts, seconds=1.0)


def matrix_of(*rows: Row, **facts: Any) -> Matrix:
    plan = Plan("A title", tuple(one.client for one in rows))
    return Matrix(plan, rows, "2026-11-26", 2.0, {"streamkit": "1", "python": "3"}, **facts)


# -- rows


def test_a_cell_is_the_worst_over_the_transcripts_with_how_many_of_each() -> None:
    summed = row(bom=silent("first")).mutation("bom")
    assert silent("first") == summed.worst
    assert {"silent difference": 1, "same": 1} == summed.counts
    assert "client: the mark is taken for a field" == summed.judgement


def test_what_went_well_bears_no_judgement_and_the_note_on_it_is_called_unneeded() -> None:
    told = row(bom=silent("first"))
    assert "" == told.mutation("comments").judgement
    assert ["comments"] == told.unneeded()
    assert ["bom", "comments"] == row().unneeded()


def test_every_outcome_is_counted_once_in_its_class() -> None:
    told = row(bom=silent("first"), truncate=Cell("typed error", "ValueError"))
    counts = told.counts()
    assert ["recorded", "cuts", "preserving", "dialect", "fault"] == list(counts)
    assert all(list(OUTCOMES) == list(one) for one in counts.values())
    assert {"same": 2} == {name: count for name, count in counts["recorded"].items() if count}
    assert (1, 1) == (counts["preserving"]["silent difference"], counts["preserving"]["same"])
    assert (0, 1) == (sum(counts["dialect"].values()), counts["fault"]["typed error"])


def test_a_cell_is_repeated_by_a_command_for_a_target_and_for_a_driver() -> None:
    assert "streamkit fuzz package:parse --replay 'sk1:a b'" == row().rerun("sk1:a b")
    driver = Row(Client("one", command="node driver.mjs", returns="events"))
    assert "streamkit fuzz --command 'node driver.mjs' --returns events --replay TOKEN" == driver.rerun("TOKEN")


# -- the matrix


def test_the_json_holds_everything_of_each_client_and_cell() -> None:
    told = json.loads(json.dumps(matrix_of(row(bom=silent("first"))).to_json()))
    assert (1, "A title", "2026-11-26", False) == tuple(told[key] for key in ("format", "title", "date", "interrupted"))
    (client,) = told["clients"]
    assert ("one", "1.2.3", "package:parse", "", 15) == tuple(
        client[key] for key in ("client", "version", "target", "problem", "cases")
    )
    assert list(ASKED) == list(client["mutations"])
    assert {
        "class": "preserving",
        "layer": "bytes",
        "outcome": "silent difference",
        "message": "bom changes the result",
        "token": "sk1:first:bom",
        "at": "content",
        "expected": "'a|b'",
        "actual": "''",
        "counts": {"silent difference": 1, "same": 1},
        "transcripts": {"first": silent("first").to_json(), "second": {"outcome": "same"}},
        "judgement": "client: the mark is taken for a field",
    } == client["mutations"]["bom"]
    assert {"first": {"tried": 8, "of": 99}, "second": {"tried": 0, "of": 0}} == client["cuts"]["single_cuts"]
    assert "no choice has 2 tool calls" == client["mutations"]["collapse_index"]["message"]


def test_findings_are_the_wrong_cells_the_worst_of_each_client_first() -> None:
    made = matrix_of(
        row("one", comments=Cell("error"), truncate=Cell("typed error"), bom=silent("first")), row("other")
    )
    assert [("one", "bom"), ("one", "comments")] == [(one.name, name) for one, name, _, _ in made.findings()]
    assert "silent difference" == made.worst()
    assert "same" == matrix_of(row()).worst()


# -- Markdown


def test_the_table_shows_each_mutation_with_a_mark_for_each_client() -> None:
    crash = Cell("crash", "KeyError", token="sk1:first:truncate")  # noqa: S106 - of a case
    told = markdown(matrix_of(row("one", bom=silent("first"), truncate=crash), row("other"))).splitlines()
    assert "| mutation | class | `one` | `other` |" in told
    assert "| `recorded` |  | = | = |" in told
    assert "| `bom` | preserving | S 1, = 1 | = |" in told
    assert "| `truncate` | fault | C | - |" in told
    assert "| `collapse_index` | dialect |  |  |" not in told, "it has nothing to do for any client"
    assert [] == [line for line in told if line.startswith("| `gemini_cut`")]


def test_every_outcome_has_a_mark_of_its_own_and_a_line_in_the_legend() -> None:
    assert {*OUTCOMES, INAPPLICABLE, UNTRIED} <= set(MARKS)
    assert len(MARKS) == len(set(MARKS.values()))
    told = markdown(matrix_of(row()))
    assert [] == [name for name, mark in MARKS.items() if mark and f"- `{mark}` {name}: " not in told]


def test_a_finding_tells_what_differs_its_token_and_what_was_judged_of_it() -> None:
    text = markdown(matrix_of(row("one", bom=silent("first"), truncate=Cell("hang", message="no result"))))
    told = text[text.index("## Findings") :].splitlines()
    place = told.index("- `bom` (preserving): silent difference; `content: expected 'a|b', actual ''`; `sk1:first:bom`")
    assert "  - client: the mark is taken for a field" == told[place + 1]
    place = next(number for number, line in enumerate(told) if line.startswith("- `truncate` (fault): hang;"))
    assert "  - **not judged**" == told[place + 1]
    assert "To repeat one: `streamkit fuzz package:parse --replay TOKEN`" in told
    assert told[-1] == "- `one`: `comments`"


def test_the_head_tells_versions_problems_and_an_interruption() -> None:
    one, other = row("one"), Row(Client("other", command="x"), ASKED, problem="cannot be\nstarted", interrupted=True)
    told = markdown(matrix_of(one, other))
    assert told.startswith("# A title\n\nMade on 2026-11-26 with streamkit 1, python 3, seed 0.\n")
    assert "| `one` | 1.2.3 | openai_chat | 2 | 15 | none |" in told
    assert "| `other` | not known | any | 0 | 0 | cannot be started |" in told
    assert "**Interrupted: this is what was covered until then.**" in told
    assert "Interrupted" not in markdown(matrix_of(one))


def test_text_that_would_break_the_markdown_is_escaped() -> None:
    odd = Cell("silent difference", token="t", at="", expected="``` | x", actual="`y`")  # noqa: S106 - of a case
    told = markdown(matrix_of(row("a|b", bom=odd)))
    assert "| `a\\|b` |" in told
    assert "````expected ``` | x, actual `y` ````" in told.replace("```` ", "````")


# -- what has changed


def test_changes_are_the_cells_that_were_tried_then_and_now_with_another_outcome() -> None:
    before = matrix_of(row("one", bom=silent("first"), truncate=Cell("typed error")), row("gone")).to_json()
    after = row("one", comments=Cell("crash", token="sk1:first:comments"), truncate=SAME)  # noqa: S106 - of a case
    after.version = "2.0"
    found = changes(before, matrix_of(after, row("new")))
    assert [
        "mended: one (1.2.3 -> 2.0): bom: silent difference -> same",
        "broken: one (1.2.3 -> 2.0): comments: same -> crash; sk1:first:comments",
        "changed: one (1.2.3 -> 2.0): truncate: typed error -> same",
    ] == list(map(str, found))
    assert [False, True, False] == [one.broken for one in found]
    assert [] == changes(before, matrix_of(row("one", bom=silent("first"), truncate=Cell("typed error"))))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot read .*: No such file"),
        ("{", "is no JSON"),
        ("[]", "is no matrix: write one with `streamkit matrix FILE --json"),
        ('{"format": 1, "findings": []}', "is no matrix"),
        ('{"format": 2, "clients": []}', "has format 2, and this version of streamkit reads 1"),
    ],
)
def test_what_is_no_earlier_matrix_is_refused(text: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=told):
        load_matrix(path)
