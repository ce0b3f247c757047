"""The campaign against false alarms itself: it sees a promise that is not kept, and repeats what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from skhelpers import alarms
from skhelpers.alarms import Tried, read, through
from skhelpers.chat import DONE, call, calls, delta, finish, sse, weather
from skhelpers.mutated import why_unlawful

from streamkit.case import Token
from streamkit.cassettes import bundled
from streamkit.completion import Completion
from streamkit.errors import DialectError
from streamkit.mutations import chat_faults, framing
from streamkit.mutations.registry import Choose, Class, Edit, Layer, Mutation, mutation
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript

SCRIPT = Path(__file__).with_name("false_alarms.py")
TEXT = sse(delta(content="Hel"), delta(content="lo"), finish(), DONE)
CALL = sse(calls(call(0, id="a", name="f", arguments='{"a":1}')), finish("tool_calls"), DONE)


def transcript(body: bytes = TEXT) -> Transcript:
    return Transcript(body, name="made by hand", dialect="openai_chat", synthetic=True)


def planted(kind: Class, drop: int) -> Mutation:
    """Return a mutation that drops an event, whatever its class says."""

    @mutation("planted", kind, Layer.FRAMING, "drops an event", right="-", sources=["-"])
    def planted(stream: Stream, choose: Choose) -> Edit:
        del choose
        return Edit(stream.replaced(drop), f"without event {drop}")

    return planted


def tried(monkeypatch: pytest.MonkeyPatch, *known: Mutation, body: bytes = TEXT) -> alarms.Tally:
    """Try only these mutations on a stream."""
    monkeypatch.setattr(alarms, "mutations", lambda classes, **_: [one for one in known if one.kind in classes])
    return Tried(transcript(body), {one.kind for one in known}).all(mixes=30)


# What is seen


def test_a_mutation_that_loses_a_text_is_an_alarm_by_itself_and_in_mixes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, planted(Class.PRESERVING, 1), framing.bom)
    assert {"planted", "planted + planted"} >= {alarm.names for alarm in found.alarms}
    assert "choices[0].content: 'Hello' became 'Hel'" == found.alarms[0].why
    assert (1, 2, 30) == (found.transcripts, found.edits, found.mixes)
    assert 10 < len(found.alarms) < 31


def test_a_fault_that_nobody_can_notice_is_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    late = tried(monkeypatch, planted(Class.FAULT, 3), framing.bom)  # without [DONE] the answer is whole
    assert {"the fault is not noticed"} == {alarm.why for alarm in late.alarms}
    undone = TEXT.replace(b"data: [DONE]\n\n", b"")
    assert [] == tried(monkeypatch, planted(Class.FAULT, 2), framing.bom, body=undone).alarms


def test_what_is_right_is_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, framing.bom, framing.line_ends, chat_faults.bare_eof, body=weather())
    assert [] == found.alarms
    assert {"bom", "line_ends", "bare_eof"} == set(found.applied)


def test_a_token_of_an_alarm_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant: what the token names is delivered, cut for cut, in the mix as it was tried."""
    monkeypatch.setattr(alarms, "why_unlawful", lambda *_: "told to")
    found = Tried(transcript(weather()), [Class.PRESERVING]).all(mixes=5, most=1)
    assert found.edits + found.mixes == len(found.alarms)
    for alarm in found.alarms:
        case = Token.parse(alarm.token).case(transcript(weather()))
        assert alarm.names == " + ".join(step.mutation.name for step in case.steps)
        assert case.body == b"".join(case.chunks()) != weather()


# The law


def whole(body: bytes) -> Completion:
    found = read("openai_chat", [body])
    assert isinstance(found, Completion)
    return found


def broken(body: bytes) -> DialectError:
    found = read("openai_chat", [body])
    assert isinstance(found, DialectError)
    return found


def test_an_error_stays_the_error_that_it_was_with_what_came_before_it() -> None:
    cut, shorter = broken(TEXT[:-60]), broken(sse(delta(content="Hel")))
    other = broken(sse(delta(content="Hel"), "no JSON"))
    assert "" == why_unlawful(Class.PRESERVING, cut, broken(TEXT[:-60]), None)
    assert "another partial answer" in why_unlawful(Class.PRESERVING, cut, shorter, None)
    assert "the original is TruncatedStreamError, and this PayloadError" in why_unlawful(
        Class.PRESERVING, shorter, other, None
    )
    for kind in Class:
        assert "this a completion" in why_unlawful(kind, cut, whole(TEXT), None)


def test_a_result_is_the_one_that_the_edits_say() -> None:
    before = whole(TEXT)
    change = through([lambda one: replace(one, id="x"), lambda one: replace(one, model=f"{one.id}y")])
    assert change is not None
    for kind in (Class.PRESERVING, Class.DIALECT):
        assert "" == why_unlawful(kind, before, replace(before, id="x", model="xy"), change)
        assert "model: 'xy' became 'x'" == why_unlawful(kind, before, replace(before, id="x", model="x"), change)
    assert through([]) is None


def test_an_error_is_right_for_another_dialect_and_a_fault_and_wrong_where_the_meaning_is_kept() -> None:
    cut = broken(CALL.replace(b'"tool_calls"}', b"null}").replace(b"data: [DONE]\n\n", b""))
    assert "" == why_unlawful(Class.DIALECT, whole(CALL), cut, None)
    assert "" == why_unlawful(Class.FAULT, whole(CALL), cut, None)
    assert why_unlawful(Class.PRESERVING, whole(CALL), cut, None).startswith("TruncatedStreamError: ")


def test_a_fault_may_leave_a_call_that_says_itself_that_it_is_broken() -> None:
    lame = whole(CALL.replace(b"1}", b"1").replace(b':"tool_calls"', b':"length"'))
    assert [False] == [one.executable for one in lame.tool_calls]
    assert "" == why_unlawful(Class.FAULT, whole(CALL), lame, None)
    assert "the fault is not noticed" == why_unlawful(Class.FAULT, whole(CALL), whole(CALL), None)
    other = replace(lame, choices=(*lame.choices, *whole(CALL.replace(b"1}", b"2}")).choices))
    assert "calls that were not there may be executed" in why_unlawful(Class.FAULT, whole(CALL), other, None)


# The command


def run(folder: Path, *options: str) -> tuple[int, str, str]:
    """Run the campaign on a folder; return the exit code, what it printed and its JSON."""
    result = folder.with_name("result.json")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--corpus", folder, "--mixes", "3", "--variants", "1", "--json", result, *options],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, result.read_text("utf-8") if result.exists() else done.stderr


def test_the_command_gives_the_same_result_whatever_the_number_of_jobs(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, one in enumerate([one for one in bundled() if len(one.body) < 5_000][:3]):
        (folder / f"{number}.sse").write_bytes(one.body)
    (folder / "other.sse").write_bytes(b'data: {"nobody": "knows"}\n\n')
    code, said, found = run(folder, "--jobs", "1")
    assert (0, found) == (code, run(folder, "--jobs", "2")[2])
    assert 3 == sum(one["transcripts"] for one in json.loads(found)["dialects"].values())
    assert "alarms" in said.splitlines()[0]
    assert found != run(folder, "--jobs", "1", "--seed", "1")[2]


def test_the_command_says_what_it_left_out_and_that_there_is_nothing_to_try(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    code, _, said = run(folder)
    assert (2, True) == (code, said.startswith("no transcript of a known dialect in "))
    (folder / "small.sse").write_bytes(TEXT)
    (folder / "large.sse").write_bytes(weather() + b": x\n\n" * 1000)
    code, told, _ = run(folder, "--largest", str(len(TEXT)), "--jobs", "1")
    assert (0, f"1 transcripts of more than {len(TEXT)} bytes were left out") == (code, told.splitlines()[0])
