"""The cassettes of real servers: each gives what the client had when it was recorded, and `library` finds them.

`NAME.expected.json` stands beside `NAME.yaml`. It was written when the server was recorded, by loops over what a real
client yielded and by the client library's own accumulation; streamkit's readers had no part in it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from skhelpers.mutated import edits

import streamkit
from streamkit import StreamkitError, Transcript
from streamkit.cassettes import load_cassette
from streamkit.cassettes.catalogue import chosen
from streamkit.cassettes.features import FEATURES, features
from streamkit.cassettes.library import bundled, bundled_folder, names
from streamkit.cassettes.lint import lint_file
from streamkit.errors import DialectError, UsageError
from streamkit.mutations.registry import mutations
from streamkit.mutations.stream import Stream

ROOT = Path(__file__).resolve().parents[2]
FOLDER = bundled_folder() / "recorded"
PATHS = sorted(FOLDER.rglob("*.yaml"))
SCRIPTS = sorted((ROOT / "tests" / "recording").glob("record_*.py"))
IDS = [path.relative_to(FOLDER).with_suffix("").as_posix() for path in PATHS]
NATIVE = "llama_server/native_completion"  # of the server's own API, which is no dialect
REFUSED = ["litellm/chat_upstream_unreachable", "litellm/messages_upstream_unreachable"]  # no stream, but a status
each = pytest.mark.parametrize("path", PATHS, ids=IDS)
NAMED = [(path, name) for path, name in zip(PATHS, IDS, strict=True) if name not in (NATIVE, *REFUSED)]
each_of_a_dialect = pytest.mark.parametrize("path", [path for path, _ in NAMED], ids=[name for _, name in NAMED])


@cache
def transcript(path: Path) -> Transcript:
    """Return what a cassette holds."""
    (one,) = load_cassette(path, name=path.stem).transcripts
    return one


@cache
def expected(path: Path) -> dict[str, Any]:
    """Return what the client had of it."""
    found: dict[str, Any] = json.loads(path.with_suffix(".expected.json").read_text("utf-8"))
    return found


def outcome(one: Transcript, chunks: list[bytes]) -> tuple[str | None, streamkit.Completion | None]:
    """Return the name of the error, and what came, whole or in part."""
    dialect = streamkit.dialects.detect(one)
    assert dialect is not None
    try:
        return None, streamkit.accumulate(chunks, dialect=dialect.name)
    except DialectError as error:
        return type(error).__name__, error.partial


def said(completion: streamkit.Completion | None) -> list[dict[str, Any]]:
    """Return the choices of a completion as a client's loop puts them."""
    return [] if completion is None else [
        {
            "content": choice.content or "",
            "calls": [[call.id, call.name, call.arguments] for call in choice.tool_calls],
            "finish_reason": choice.finish_reason,
            "reasoning": choice.reasoning,
            **({"function_call": [choice.function_call.name, choice.function_call.arguments]}
               if choice.function_call is not None else {}),
        }
        for choice in completion.choices
    ]  # fmt: skip


# -- what they are


def test_there_are_recordings_of_several_servers() -> None:
    assert 30 <= len(PATHS)
    assert 5 <= len({path.parent.name for path in PATHS})


@each
def test_a_cassette_says_which_server_sent_it_and_which_script_recorded_it(path: Path) -> None:
    one = transcript(path)
    assert re.fullmatch(r"[\w.-]+ \d[\w.+-]*", one.server)
    assert f"sent by {one.server} on 20" in one.source
    assert (False, True) == (one.synthetic, one.chunks_recorded or "text/event-stream" not in str(one.head.headers))
    (script,) = re.findall(r"recorded by (tests/recording/\w+\.py)", one.source)
    assert (ROOT / script).is_file()
    assert path.stem in (ROOT / script).read_text("utf-8"), "the script does not record it"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_recording_script_starts(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, script, "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "--library" in done.stdout


@each
def test_a_cassette_is_small_and_holds_nothing_of_the_machine_that_recorded_it(path: Path) -> None:
    raw = path.read_bytes()
    assert len(transcript(path).body) <= 8192
    for local in (b"127.0.0.1", b"localhost", b"/home/", b"/tmp/", b"sk-"):
        assert local not in raw
    request = transcript(path).request
    assert request is not None
    assert request.url.startswith("http://")
    assert ".test/" in request.url


#: What `streamkit lint` says of those in which something is odd, as it was on the wire.
ODD = {
    "litellm/messages_forced_call": {"bad-payload"},
    "llama_cpp_python/closed_by_client": {"no-finish-reason", "no-terminal"},
    "llama_cpp_python/forced_call_cut_by_length": {"bad-arguments"},
    "llama_cpp_python/interrupted_by_another_request": {"ending", "no-finish-reason"},
    "llama_cpp_python/prompt_too_long": {"no-finish-reason"},
    "llama_server/call_cut_by_length": {"bad-arguments"},
    "llama_server/closed_by_client": {"no-finish-reason", "no-terminal"},
    "llama_server/messages_calls_cut_by_length": {"bad-arguments"},
    NATIVE: {"unknown-dialect"},
    "llama_server/parallel_calls_unasked": {"bad-arguments"},
    "sse_starlette/exception_in_call": {"bad-arguments", "no-finish-reason", "no-terminal"},
    "sse_starlette/exception_in_text": {"no-finish-reason", "no-terminal"},
    "transformers_serve/call": {"no-terminal"},
    "transformers_serve/call_cut_by_length": {"no-terminal"},
    "transformers_serve/call_that_is_not_json": {"bad-payload"},
    "transformers_serve/random_bytes": {"no-terminal"},
    "transformers_serve/text": {"no-terminal"},
    "transformers_serve/text_cut_by_length": {"no-terminal"},
}


@pytest.mark.parametrize(("path", "name"), list(zip(PATHS, IDS, strict=True)), ids=IDS)
def test_lint_accepts_it_and_tells_what_is_odd(path: Path, name: str) -> None:
    found = lint_file(path)
    assert "error" not in {problem.severity for problem in found}
    assert ODD.get(name, set()) == {problem.rule for problem in found}


def test_every_expected_result_has_a_cassette_and_the_reverse() -> None:
    results = {path.name.removesuffix(".expected.json") for path in FOLDER.rglob("*.json")}
    assert {path.stem for path in PATHS} == results
    assert {".yaml", ".json"} == {path.suffix for path in FOLDER.rglob("*") if path.is_file()}


# -- what they give


def test_the_dialect_of_every_other_stream_is_known() -> None:
    known = {one.name for dialect in streamkit.dialects.names() for one in streamkit.library(dialect=dialect)}
    assert {f"recorded/{name}" for _, name in NAMED} == {name for name in known if name.startswith("recorded/")}
    assert {f"recorded/{name}" for name in REFUSED} < {one.name for one in streamkit.library(feature="status")}


@each_of_a_dialect
def test_what_is_accumulated_is_what_the_client_had(path: Path) -> None:
    one, wanted = transcript(path), expected(path)
    error, completion = outcome(one, one.fragment())
    assert wanted["error"] == error, wanted.get("raised")
    got = said(completion)
    if error is None:
        assert len(wanted["choices"]) == len(got)
    for had, choice in zip(wanted["choices"], got, strict=False):
        if "took" in wanted:  # the client stopped reading, and more was recorded
            assert choice["content"].startswith(had["content"])
            continue
        if error == "PayloadError":  # nothing is read after it, and a loop reads on
            had["calls"] = had["calls"][: len(choice["calls"])]
            choice["finish_reason"] = had.get("finish_reason")
        assert {key: had[key] for key in had if key in choice} == {key: choice[key] for key in had if key in choice}
    if error is None:
        assert completion is not None
        assert (wanted["usage"] or {}).items() <= dict(completion.usage or {}).items()


@each_of_a_dialect
def test_no_delivery_changes_it(path: Path) -> None:
    one = transcript(path)
    whole = outcome(one, [one.body])
    assert whole == outcome(one, one.fragment())
    assert whole == outcome(one, [one.body[at : at + 1] for at in range(len(one.body))])


@each
def test_the_client_librarys_own_accumulation_agrees_or_is_known_to_differ(path: Path) -> None:
    """openai appends the id and the name that llama-cpp-python sends with every piece of a call; anthropic makes {} of
    arguments that were cut off.
    """
    wanted = expected(path)
    library = wanted.get("library")
    if library is None or wanted["error"] or "raised" in library:
        return
    choice = wanted["choices"][0]
    assert choice["content"] == library["content"]
    for had, call in zip(choice["calls"], library.get("calls", choice["calls"]), strict=True):
        name, arguments = call[1], call[2]
        times = len(name) // len(had[1])
        assert (had[0] * times, had[1] * times) == (call[0], name)
        assert times == 1 or "call__0_" in had[0]
        assert arguments == had[2] if isinstance(arguments, str) else arguments in ({}, _parsed(had[2]))


def calls_alone(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Read the calls of a chat stream, and not the legacy form beside them."""
    calls: dict[int, dict[str, Any]] = {}
    reason = None
    for event in b"".join(chunks).decode().split("\n\n"):
        if not event.startswith("data: {"):
            continue
        for choice in json.loads(event.removeprefix("data: "))["choices"]:
            reason = choice.get("finish_reason") or reason
            for part in choice["delta"].get("tool_calls") or []:
                function = part["function"]
                call = calls.setdefault(part["index"], {"id": part["id"], "name": function["name"], "arguments": ""})
                call["arguments"] += function["arguments"]
    return {"content": None, "tool_calls": [*calls.values()], "finish_reason": reason}


@pytest.mark.parametrize("name", ["llama_cpp_python/forced_call", "llama_cpp_python/forced_call_cut_by_length"])
def test_a_call_that_is_sent_in_both_forms_is_one_call(name: str) -> None:
    streamkit.check(calls_alone, f"recorded/{name}", mutations=False, max_examples=5, max_single_cuts=20)
    one = Stream.of(streamkit.load(f"recorded/{name}"))
    (no_arguments,) = (entry for entry in mutations() if entry.name == "no_arguments")
    assert [] == list(edits(no_arguments, one, most=9)), "one form alone would have none"

    def renamed(chunks: Iterable[bytes]) -> dict[str, Any]:
        said = calls_alone(chunks)
        said["tool_calls"][0]["name"] *= 2
        return said

    with pytest.raises(streamkit.OracleFailure):
        streamkit.check(renamed, f"recorded/{name}", mutations=False, max_examples=5, max_single_cuts=20)


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return None


# -- how they are found


def test_the_library_holds_the_recordings_beside_what_a_run_takes() -> None:
    found = [one.name for one in streamkit.library()]
    assert sorted(found) == found
    assert {f"recorded/{name}" for name in IDS} < set(found)
    assert found == [streamkit.load(name).name for name in found]
    assert set(names()) == {name.partition("#")[0] for name in found}
    left_out = ("recorded/", "conversations/")
    assert {one.name for one in bundled()} == {name for name in found if not name.startswith(left_out)}


def test_a_feature_finds_those_that_have_it() -> None:
    for feature in FEATURES:
        found = streamkit.library(feature=feature)
        assert [one.name for one in streamkit.library() if feature in features(one)] == [one.name for one in found]


def test_the_readme_tells_every_feature() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.partition("| feature | meaning |\n| --- | --- |\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [f"| `{name}` | {meaning} |" for name, meaning in FEATURES.items()]


@pytest.mark.parametrize(
    ("feature", "name"),
    [
        ("no_done", "recorded/transformers_serve/text"),
        ("invalid", "recorded/transformers_serve/call_that_is_not_json"),
        ("parallel", "recorded/llama_server/parallel_calls"),
        ("choices", "recorded/llama_server/two_choices"),
        ("usage", "recorded/llama_server/messages_text"),
        ("crlf", "recorded/sse_starlette/crlf"),
        ("cr", "recorded/sse_starlette/cr"),
        ("mixed", "recorded/sse_starlette/mixed_line_ends"),
        ("pings", "recorded/sse_starlette/pings"),
        ("ids", "recorded/sse_starlette/ids_and_retry"),
        ("retry", "recorded/sse_starlette/ids_and_retry"),
        ("multiline", "recorded/sse_starlette/many_data_lines"),
        ("broken_off", "recorded/sse_starlette/exception_in_call"),
        ("truncated", "recorded/sse_starlette/exception_in_call"),
        ("error", "recorded/litellm/upstream_cut"),
        ("no_done", "recorded/litellm/upstream_cut"),
        ("empty", "recorded/llama_cpp_python/prompt_too_long"),
        ("client_closed", "recorded/llama_cpp_python/closed_by_client"),
        ("legacy", "recorded/llama_cpp_python/legacy_function_call"),
        ("logprobs", "recorded/llama_cpp_python/logprobs"),
        ("length", "recorded/llama_cpp_python/text"),
        ("escapes", "recorded/llama_cpp_python/forced_call"),
        ("utf8", "recorded/sse_starlette/lf"),
        ("parallel", "recorded/sse_starlette/calls"),
        ("tool_calls", "openai_chat/boston_weather"),
        ("usage", "recorded/litellm/mock_text_usage"),
        ("reasoning", "recorded/llama_server/reasoning"),
        ("pings", "recorded/llama_server/pings_before_the_first_event"),
        ("choices", "gemini/synthetic_two_candidates"),
        ("text", "recorded/litellm/mock_text"),
    ],
)
def test_a_feature_means_what_it_says(feature: str, name: str) -> None:
    assert name in [one.name for one in streamkit.library(feature=feature)]


@pytest.mark.parametrize(
    "name",
    ["bedrock_converse/synthetic_text_and_call", "ollama/synthetic_text_and_calls", "gemini/synthetic_json_array"],
)
def test_what_is_no_event_stream_has_no_features_of_its_framing(name: str) -> None:
    assert not features(streamkit.load(name)) & {"cr", "crlf", "mixed", "pings", "ids", "retry", "multiline"}


def test_several_features_must_all_be_there() -> None:
    found = streamkit.library(feature=["tool_calls", "crlf"], dialect="openai_chat")
    assert {"recorded/sse_starlette/calls", "recorded/sse_starlette/exception_in_call"} <= {one.name for one in found}
    assert all({"tool_calls", "crlf"} <= features(one) for one in found)


def test_a_server_is_found_with_and_without_its_version() -> None:
    found = streamkit.library(server="sse-starlette")
    assert sorted(path.stem for path in PATHS if path.parent.name == "sse_starlette") == [
        one.name.rpartition("/")[2] for one in found
    ]
    assert found == streamkit.library(server=found[0].server)


def test_a_dialect_is_found() -> None:
    found = streamkit.library(dialect="anthropic_messages")
    assert "recorded/litellm/messages_text" in {one.name for one in found}
    assert {"anthropic_messages"} == {one.dialect for one in found}


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"feature": "tool_call"}, "tool_calls, parallel, legacy"),
        ({"feature": ["text", "nothing"]}, "'nothing'"),
        ({"server": "llama"}, "llama-cpp-python, llama-cpp-python 0"),
        ({"dialect": "openai"}, "openai"),
    ],
)
def test_what_is_not_known_is_an_error_that_names_the_known_ones(asked: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=re.escape(named)):
        streamkit.library(**asked)


def test_none_of_no_transcripts_is_chosen() -> None:
    assert [] == chosen([], feature="text", dialect="openai_chat")
    with pytest.raises(UsageError, match="no transcript of a server"):
        chosen([], server="any")


def test_a_body_that_cannot_be_decoded_has_the_features_of_its_end() -> None:
    head = streamkit.transcript.ResponseHead(503, "no", (("content-encoding", "snappy"),))
    assert {"status", "broken_off"} == features(Transcript(b"x", head, ending=streamkit.Ending.RESET))


# -- the server in the format


def test_the_server_is_kept_in_a_cassette_and_its_absence_too(tmp_path: Path) -> None:
    from streamkit.cassettes import Cassette, dump
    from streamkit.transcript import Interaction, Request

    for server in ("tiny 1.0", ""):
        one = Transcript(b"data: x\n\n", server=server)
        raw = dump(Cassette((Interaction(Request("POST", "http://x/"), one),)))
        (tmp_path / "one.yaml").write_bytes(raw)
        assert one == transcript.__wrapped__(tmp_path / "one.yaml").renamed("")
        assert (b"server:" in raw) == bool(server)


def test_a_server_that_is_no_text_is_an_error_with_its_place(tmp_path: Path) -> None:
    raw = yaml.safe_load(PATHS[0].read_text("utf-8"))
    raw["interactions"][0]["response"]["streamkit"]["server"] = 3
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(raw), "utf-8")
    with pytest.raises(StreamkitError, match=r"server: 3: a text is expected"):
        load_cassette(tmp_path / "one.yaml")
