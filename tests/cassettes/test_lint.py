"""The rules of the linter, each with a cassette that breaks it and the ones that break none."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from skhelpers.bundled import FOLDER as BUNDLED
from skhelpers.chat import call, calls, choice, delta, finish, payload, sse
from skhelpers.corpus import needs_corpus, recordings

from streamkit.cassettes import Cassette, dump
from streamkit.cassettes.lint import RULES, Problem, lint, lint_file
from streamkit.cassettes.redaction import Redactor
from streamkit.synthesis import synthesize
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

KEY = "sk-proj-" + "test1234" * 4
REQUEST = Request("POST", "https://api.openai.com/v1/chat/completions", (), b"{}")
GOOD = (delta(role="assistant", content="Grüße"), finish(), "[DONE]")


def transcript(*events: Any, **facts: Any) -> Transcript:
    return Transcript(sse(*events), **facts)


def problems(response: Transcript, request: Request = REQUEST) -> list[Problem]:
    return lint(Cassette((Interaction(request, response),)), "a.yaml")


def rules(response: Transcript, request: Request = REQUEST) -> list[tuple[str, str]]:
    return [(problem.rule, problem.severity) for problem in problems(response, request)]


def test_a_good_stream_has_no_problem() -> None:
    assert [] == problems(transcript(*GOOD))


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(BUNDLED.rglob("*.yaml")) if BUNDLED / "recorded" not in path.parents],
    ids=lambda path: path.stem,
)
def test_the_bundled_cassettes_have_no_problem(path: Path) -> None:
    wanted = "note" if path.stem == "synthetic_dropped_connection" else None  # it is there to break off
    assert [] == [one for one in lint_file(path) if one.severity != wanted]


def test_every_rule_is_explained_on_one_line() -> None:
    assert {} == {rule: text for rule, text in RULES.items() if not 10 < len(text) < 90 or "\n" in text}


# -- secrets


@pytest.mark.parametrize(
    ("part", "request_", "response"),
    [
        ("request header authorization", replace(REQUEST, headers=(("authorization", "Bearer abc"),)), {}),
        ("response header Set-Cookie", REQUEST, {"head": ResponseHead(headers=(("Set-Cookie", "a=b1"),))}),
        ("response header x-note", REQUEST, {"head": ResponseHead(headers=(("x-note", f"a {KEY}"),))}),
        ("status line", REQUEST, {"head": ResponseHead(401, f"no {KEY}")}),
        ("URL", replace(REQUEST, url="https://h/chat/completions?key=abc"), {}),
        ("request body", replace(REQUEST, body=json.dumps({"api_key": "abc"}).encode()), {}),
    ],
)
def test_a_secret_is_an_error_wherever_it_is(part: str, request_: Request, response: dict[str, Any]) -> None:
    (problem,) = problems(transcript(*GOOD, **response), request_)
    assert ("secret", "error", 1) == (problem.rule, problem.severity, problem.interaction)
    assert part in problem.message
    assert KEY not in problem.message
    clean = Redactor().interaction(Interaction(request_, transcript(*GOOD, **response)))
    assert [] == problems(clean.transcript, clean.request)


def test_a_secret_in_the_body_is_shown_by_its_prefix_only() -> None:
    (problem,) = problems(transcript(delta(content=f"it is {KEY}, {KEY}."), *GOOD))
    assert "response body" in problem.message
    assert "openai-key (sk-proj-***), and 1 more of the kind" in problem.message
    assert "test" not in problem.message


def test_a_secret_over_several_events_is_found() -> None:
    (problem,) = problems(transcript(delta(content=KEY[:10]), delta(content=KEY[10:]), *GOOD))
    assert "spread over several events" in problem.message


@pytest.mark.parametrize(
    "value",
    ["REDACTED", "Bearer REDACTED", "DUMMY", "<token>", "Bearer test-key", "fake-token", "XXXXXXXX", "filtered"],
)
def test_what_others_write_in_place_of_a_secret_is_none(value: str) -> None:
    headers = (("authorization", value), ("x-api-key", value))
    assert [] == problems(transcript(*GOOD), replace(REQUEST, headers=headers))


# -- streams


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((delta(content="a"), finish()), ["no-terminal"]),
        ((delta(content="a"), "[DONE]"), ["no-finish-reason"]),
        ((delta(content="a"),), ["no-terminal", "no-finish-reason", "ending"]),
        ((payload(choice(0, content="a"), choice(1, content="b")), finish(), "[DONE]"), ["no-finish-reason"]),
        ((calls(call(id="a", name="f", arguments="{")), finish("tool_calls"), "[DONE]"), ["bad-arguments"]),
        ((calls(call(id="a", name="f", arguments="[1]")), finish("tool_calls"), "[DONE]"), ["bad-arguments"]),
        ((delta(function_call={"name": "f", "arguments": "1"}), finish("function_call"), "[DONE]"), ["bad-arguments"]),
        ((delta(content="a"), "{broken", finish(), "[DONE]"), ["bad-payload"]),
        ((delta(content="a"), "no json", "nor this", "[DONE]"), ["bad-payload", "bad-payload"]),
        ((payload(choice(0, content=7)), *GOOD), ["bad-payload"]),
        ((*GOOD, b"data: more"), ["unfinished-event"]),
        ((delta(content="a"), finish(), b"data: [DONE]"), ["unfinished-event", "no-terminal"]),
    ],
)
def test_what_is_wrong_with_a_stream_is_a_warning(events: tuple[Any, ...], expected: list[str]) -> None:
    assert [(rule, "warning") for rule in expected] == rules(transcript(*events))


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.COMPLETE])
def test_a_stream_that_was_recorded_as_cut_short_may_lack_its_end(ending: Ending) -> None:
    cut = transcript(calls(call(id="a", name="f", arguments="{")), b"data: {", ending=ending)
    expected = ["unfinished-event", "no-terminal", "no-finish-reason", "bad-arguments"]
    assert [(rule, "note") for rule in expected] == rules(cut)


@pytest.mark.parametrize(
    ("ending", "severity"),
    [(Ending.TRUNCATED, "warning"), (Ending.RESET, "note"), (Ending.TIMEOUT, "note")],
)
def test_an_ending_too_early_after_the_end_is_a_contradiction(ending: Ending, severity: str) -> None:
    assert [("ending", severity)] == rules(transcript(*GOOD, ending=ending))


def test_a_client_that_left_after_the_end_is_none_for_that_is_what_clients_do() -> None:
    assert [] == rules(transcript(*GOOD, ending=Ending.CLIENT_CLOSED))


def test_arguments_that_a_limit_cut_off_are_a_note() -> None:
    events = (calls(call(id="a", name="f", arguments="{")), finish("length"), "[DONE]")
    assert [("bad-arguments", "note")] == rules(transcript(*events))


def test_an_error_that_the_provider_reported_is_a_faithful_recording() -> None:
    assert [] == problems(transcript(delta(content="a"), {"error": {"message": "overloaded"}}))


def test_a_boundary_inside_a_character_is_noted_with_its_offset() -> None:
    body = sse(*GOOD)
    at = body.index("ü".encode()) + 1
    (problem,) = problems(Transcript(body, lengths=(at, len(body) - at), chunks_recorded=True))
    assert ("split-character", "note") == (problem.rule, problem.severity)
    assert f"at byte {at}" in problem.message
    assert [] == problems(Transcript(body, lengths=(at - 1, len(body) - at + 1)))


def test_an_unknown_stream_is_noted() -> None:
    other = Request("POST", "https://h/other")
    assert [("unknown-dialect", "note")] == rules(transcript({"type": "novel"}), other)
    assert [("unknown-dialect", "note")] == rules(transcript(*GOOD, dialect="novel"))


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (429, "application/json", b'{"error":{"message":"slow down"}}'),
        (500, "text/event-stream", b'{"error":{"message":"slow down"}}'),
        (502, "text/html", b"<html>"),
        (200, "application/json", b'{"object":"chat.completion","choices":[]}'),
        (200, "text/event-stream", b'{"error":{"message":"slow down"}}'),
        (204, "text/event-stream", b""),
        (200, "image/png", b"\x89PNG"),
    ],
)
def test_what_is_no_stream_is_not_held_to_the_rules_of_streams(status: int, kind: str, body: bytes) -> None:
    assert [] == problems(Transcript(body, head=ResponseHead(status, "", (("content-type", kind),))))


def test_a_compressed_body_is_read_decoded() -> None:
    head = ResponseHead(headers=(("content-encoding", "gzip"), ("content-type", "text/event-stream")))
    body = gzip.compress(sse(delta(content=KEY), finish()))
    assert [("secret", "error"), ("no-terminal", "warning")] == rules(Transcript(body, head=head))
    unknown = replace(head, headers=(("content-encoding", "novel"),))
    assert [("unreadable", "error")] == rules(Transcript(b"\x00\x01", head=unknown))


def test_an_interaction_twice_is_noted() -> None:
    one = Interaction(REQUEST, transcript(*GOOD))
    other = Interaction(replace(REQUEST, body=b"[]"), transcript(*GOOD))
    found = lint(Cassette((one, other, one)), "a.yaml")
    assert [("duplicate", 3)] == [(problem.rule, problem.interaction) for problem in found]
    assert "interaction 1" in found[0].message


# -- files


def test_problems_of_a_file_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    bad = transcript(delta(content="a"), delta(content=KEY), "no json", ending=Ending.TRUNCATED)
    sent = replace(REQUEST, headers=(("authorization", "Bearer abcdef"),))
    path.write_bytes(dump(Cassette((Interaction(REQUEST, transcript(*GOOD)), Interaction(sent, bad)))))
    lines = path.read_text("utf-8").splitlines()
    found = {problem.rule + problem.message[:8]: problem for problem in lint_file(path)}
    assert {2} == {problem.interaction for problem in found.values()}

    def line(start: str) -> str:
        (problem,) = [problem for key, problem in found.items() if key.startswith(start)]
        assert problem.line is not None
        return lines[problem.line - 1]

    assert KEY in line("secretthe resp")
    assert "Bearer abcdef" in line("secretthe requ")
    assert "no json" in line("bad-payload")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version: 1", "version: [", "expected"),
        ("[[1, 9]", "[[1, 8]", "add up"),
        ("format: 1", "format: 99", "newer"),
        ("interactions:", "others:", "no cassette"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem_with_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "a.yaml"
    size = len(sse(*GOOD))
    recorded = transcript(*GOOD, lengths=(9, size - 9), times=(1, 2), chunks_recorded=True)
    text = dump(Cassette((Interaction(REQUEST, recorded),))).decode()
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    (problem,) = lint_file(path)
    assert ("unreadable", "error", None, str(path)) == (
        problem.rule, problem.severity, problem.interaction, problem.path,
    )  # fmt: skip
    assert problem.line is not None
    assert says in problem.message


def test_a_bare_body_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.sse"
    path.write_bytes(sse(delta(content="a"), finish()))
    assert ["no-terminal"] == [problem.rule for problem in lint_file(path)]


@needs_corpus
def test_recordings_of_chat_streams_give_no_alarm_but_for_what_they_lack() -> None:
    lacking = {"done_sentinel", "no_done", "truncated", "no_finish_reason", "no_final_blank_line", "n>1"}
    for recording in recordings(".sse", "chat"):
        found = {problem.rule for problem in problems(Transcript(recording.body), Request("POST", "https://h/"))}
        assert found <= {"no-terminal", "no-finish-reason", "unfinished-event", "ending", "bad-arguments"}, (
            recording.name
        )
        if found - {"bad-arguments"}:
            assert lacking & set(recording.meta["features"]), recording.name


@pytest.mark.parametrize("dialect", ["ollama", "bedrock_converse", "gemini", "anthropic_messages"])
def test_streams_of_every_framing_are_clean_as_they_are_written(dialect: str) -> None:
    assert [] == problems(synthesize("hello", tool_calls=[("f", {"a": 1})], dialect=dialect))
