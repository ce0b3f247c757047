"""What a session says at its end: what was written, what was not played, what was left open."""

from __future__ import annotations

import pytest
from skhelpers.server import Answer, StreamServer, pieces
from skhelpers.sessions import BODY, EVERYWHERE, ONCE, SIMPLE, STRICT, fresh, said, session, write

# -- what was written


@EVERYWHERE
def test_what_was_written_is_told_and_what_was_not_with_the_reason(
    workers: list[str], project: pytest.Pytester
) -> None:
    write(
        project,
        """
@pytest.mark.streamkit
def test_one():
    ask()

@pytest.mark.streamkit("chat/two")
def test_two():
    ask("a", "b")

@pytest.mark.streamkit
def test_fails():
    ask()
    assert False

@pytest.mark.streamkit
def test_skips():
    ask()
    pytest.skip("no")

@pytest.mark.streamkit
def test_asks_nothing(): ...
""",
    )
    assert [
        "did not write cassettes/test_it/test_fails.yaml: 1 interaction recorded, but the test did not pass",
        "did not write cassettes/test_it/test_skips.yaml: 1 interaction recorded, but the test did not pass",
        f"wrote cassettes/chat/two.yaml: 2 interactions recorded, {2 * len(BODY)} bytes",
        f"wrote cassettes/test_it/test_one.yaml: 1 interaction recorded, {len(BODY)} bytes",
    ] == said(session(project, ONCE, *workers))


@pytest.mark.parametrize("verbosity", [[], ["-q"], ["-qq"], ["-v"], ["--no-header", "--no-summary"]])
def test_it_is_told_at_every_verbosity(verbosity: list[str], project: pytest.Pytester) -> None:
    write(project, SIMPLE)
    lines = session(project, ONCE, *verbosity).outlines
    assert 1 == len([line for line in lines if line.startswith("wrote cassettes/test_it/test_a.yaml: ")])


def test_an_ending_that_is_not_complete_is_named(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        project,
        """
@pytest.mark.streamkit
def test_a():
    with pytest.raises(httpx.RemoteProtocolError):
        ask()
""",
    )
    with StreamServer(Answer(pieces(BODY)[:3], end="eof")) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        result = session(project, ONCE)
    size = sum(map(len, pieces(BODY)[:3]))
    assert [f"wrote cassettes/test_it/test_a.yaml: 1 interaction recorded, {size} bytes, ending: incomplete"] == said(
        result
    )


NOTHING = {
    "no test at all": "",
    "no marked test": "def test_a(): ...",
    "a marked test without HTTP": "@pytest.mark.streamkit\ndef test_a(): ...",
    "a transcript": "@pytest.mark.streamkit('openai_chat/boston_weather')\ndef test_a(replay): ...",
    "a replayed test": SIMPLE,
}


@EVERYWHERE
@pytest.mark.parametrize("source", NOTHING.values(), ids=NOTHING)
def test_nothing_is_said_where_there_is_nothing_to_say(
    source: str, workers: list[str], project: pytest.Pytester
) -> None:
    if source is SIMPLE:
        fresh(project, source)
    write(project, source)
    result = session(project, STRICT, *workers)
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert [] == [line for line in result.outlines if " streamkit " in line]


@pytest.mark.parametrize("arguments", [[], ["--streamkit-strict"]])
def test_a_session_without_a_terminal_works(arguments: list[str], project: pytest.Pytester) -> None:
    write(project, SIMPLE)
    result = session(project, "-p", "no:terminal", ONCE, *arguments)
    assert (pytest.ExitCode.OK, []) == (result.ret, [line for line in result.outlines if line.strip()])
    write(project, SIMPLE.replace("    ask()", "    pass"))
    result = session(project, "-p", "no:terminal", *arguments)
    assert (pytest.ExitCode.TESTS_FAILED if arguments else pytest.ExitCode.OK) == result.ret


def test_collecting_says_nothing(project: pytest.Pytester) -> None:
    fresh(project, SIMPLE)
    write(project, "@pytest.mark.streamkit\ndef test_other(): ...\n")
    result = session(project, "--collect-only", STRICT)
    assert (pytest.ExitCode.OK, []) == (result.ret, said(result))


# -- what was not played


@EVERYWHERE
@pytest.mark.parametrize("strict", [False, True])
def test_interactions_that_were_not_played_are_a_complaint(
    strict: bool, workers: list[str], project: pytest.Pytester
) -> None:
    fresh(project, SIMPLE.replace("ask()", "ask('one', 'two', 'three')"))
    write(project, SIMPLE.replace("ask()", "ask('two')"))
    result = session(project, *workers, *([STRICT] if strict else []))
    result.assert_outcomes(passed=1)
    assert (pytest.ExitCode.TESTS_FAILED if strict else pytest.ExitCode.OK) == result.ret
    first, second = said(result)
    assert first.startswith("cassettes/test_it/test_a.yaml: interaction 1 was not played: POST http://127.0.0.1:")
    assert second.startswith("cassettes/test_it/test_a.yaml: interaction 3 was not played: POST http://127.0.0.1:")


@pytest.mark.parametrize("rest", ["assert False", "pytest.skip('no')", "pytest.xfail('no')"])
def test_a_test_that_did_not_pass_need_not_play_everything(rest: str, project: pytest.Pytester) -> None:
    fresh(project, SIMPLE)
    write(project, SIMPLE.replace("ask()", rest))
    assert [] == said(session(project))


SHARED = """
@pytest.mark.streamkit("shared")
@pytest.mark.parametrize("n", range(4))
def test_a(n):
    ask(str(n))
"""


@EVERYWHERE
def test_of_a_shared_cassette_only_what_no_test_plays_is_a_complaint(
    workers: list[str], project: pytest.Pytester
) -> None:
    fresh(project, SHARED)
    assert [] == said(session(project, *workers))
    write(project, SHARED.replace("ask(str(n))", "ask(str(n)) if n != 2 else None"))
    (line,) = said(session(project, *workers))
    assert line.startswith("cassettes/shared.yaml: interaction 3 was not played: ")


@EVERYWHERE
@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_what_a_session_records_it_need_not_play(mode: str, workers: list[str], project: pytest.Pytester) -> None:
    write(project, SHARED)
    result = session(project, f"--streamkit-record={mode}", STRICT, *workers)
    result.assert_outcomes(passed=4)
    assert [f"wrote cassettes/shared.yaml: 1 interaction recorded, {len(BODY)} bytes"] * 4 == said(result)
    assert pytest.ExitCode.OK == result.ret


@pytest.mark.parametrize(
    "selection",
    [["-k", "2"], ["--deselect=test_it.py::test_a[0]"], ["test_it.py::test_a[1]"], ["-x", "-k", "not 3"], ["--lf"]],
)
def test_a_part_of_the_tests_that_share_a_cassette_need_not_play_everything(
    selection: list[str], project: pytest.Pytester
) -> None:
    fresh(project, SHARED)
    if selection == ["--lf"]:
        write(project, SHARED + "    assert n != 1\n")
        session(project).assert_outcomes(passed=3, failed=1)
        write(project, SHARED)
    result = session(project, STRICT, *selection)
    assert [] == said(result)
    assert pytest.ExitCode.OK == result.ret


def test_a_test_that_shares_a_cassette_with_another_file_need_not_play_everything(project: pytest.Pytester) -> None:
    write(project, SHARED, "test_other")
    fresh(project, SHARED.replace("str(n)", "'of mine', str(n)"))
    assert [] == said(session(project, "test_it.py"))
    assert [] == said(session(project, "-m", "not streamkit"))


def test_a_test_of_one_file_still_has_to_play_its_own_cassette(project: pytest.Pytester) -> None:
    fresh(project, SIMPLE)
    write(project, SIMPLE.replace("ask()", "pass"))
    for argument in ("test_it.py", "test_it.py::test_a"):
        (line,) = said(session(project, argument))
        assert line.startswith("cassettes/test_it/test_a.yaml: interaction 1 was not played: ")


# -- what was left open


LEFT = """
KEPT = []

@pytest.mark.streamkit
def test_a():
    client = httpx.Client(trust_env=False)
    response = client.send(client.build_request("POST", f"{URL}/v1/chat", json={}), stream=True)
    parts = response.iter_raw()
    KEPT.append((client, response, parts, next(parts)))
"""


@EVERYWHERE
@pytest.mark.parametrize("doing", ["recorded", "replayed"])
def test_a_stream_that_was_left_open_is_a_complaint(doing: str, workers: list[str], project: pytest.Pytester) -> None:
    write(project, LEFT)
    result = session(project, ONCE, STRICT, *workers)
    if doing == "replayed":
        result = session(project, STRICT, *workers)
    lines = [line for line in said(result) if not line.startswith("wrote ")]
    assert 1 == len(lines), said(result)
    assert lines[0].startswith("test_it.py::test_a: POST http://127.0.0.1:")
    assert lines[0].endswith(f" {doing} bytes; it was closed")
    assert " was left open after " in lines[0]
    assert pytest.ExitCode.TESTS_FAILED == result.ret


def test_streams_that_were_closed_are_no_complaint(project: pytest.Pytester) -> None:
    write(
        project,
        """
@pytest.mark.streamkit
def test_a():
    with httpx.Client(trust_env=False) as client:
        with client.stream("POST", f"{URL}/v1/chat", json={}) as response:
            next(response.iter_raw())
""",
    )
    assert ["ending: client-closed"] == [
        line.rpartition(", ")[2].replace("_", "-") for line in said(session(project, ONCE))
    ]
    assert [] == said(session(project, STRICT))


# -- what a passing test swallowed


@EVERYWHERE
def test_a_miss_that_a_passing_test_swallows_is_a_complaint(workers: list[str], project: pytest.Pytester) -> None:
    write(
        project,
        """
@pytest.mark.streamkit
def test_a():
    try:
        ask()
    except Exception:
        pass
""",
    )
    result = session(project, STRICT, *workers)
    result.assert_outcomes(passed=1)
    assert pytest.ExitCode.TESTS_FAILED == result.ret
    (line,) = said(result)
    assert line.startswith("test_it.py::test_a: passed, although nothing answers POST http://127.0.0.1:")


def test_a_strict_session_that_fails_anyway_keeps_its_status(project: pytest.Pytester) -> None:
    write(project, LEFT + "\ndef test_interrupted():\n    pytest.exit('enough', returncode=7)\n")
    assert 7 == session(project, ONCE, STRICT).ret
