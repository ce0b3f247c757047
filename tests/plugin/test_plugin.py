"""The pytest plugin: its markers and fixtures, and what it says to those who use them wrongly."""

from __future__ import annotations

# Loaded here once: a run of pytest inside this process forgets the modules that it loads, and the next loads them anew.
import openai  # noqa: F401
import pytest

import streamkit.fuzz
import streamkit.replay  # noqa: F401
from streamkit.cassettes import Cassette, dump
from streamkit.transcript import Interaction, Request, Transcript

BOSTON = "openai_chat/boston_weather"
OF_BOSTON = [
    "whole", "drip", "per-event", "hot", "blank-line", "event", "line-end", "colon", "field-name", "escape", "done",
    "json-string", "json",
]  # fmt: skip


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose tests run as on a developer's machine, whatever this one is."""
    for name in ("CI", "GITHUB_ACTIONS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def run(project: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Run a test file in this process. Schemathesis stays out: it wraps collection, and has a test of its own."""
    project.makepyfile(test_it=f"import pytest\nimport streamkit\n{source}")
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments)


def ids(result: pytest.RunResult) -> list[str]:
    """Return what stands in brackets after the names of the collected tests."""
    return [line.partition("[")[2].rstrip("]") for line in result.outlines if line.startswith("test_it.py::")]


def recorded(project: pytest.Pytester, name: str, chunks: list[bytes]) -> Transcript:
    """Put a cassette of the project's own at a path, its chunks as a network delivered them."""
    transcript = Transcript.from_chunks(chunks)
    path = project.path / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump(Cassette((Interaction(Request("POST", "http://localhost/"), transcript),))))
    return transcript


# -- the fixtures


def test_the_marker_names_the_transcript(project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
def test_a(transcript):
    assert ("{BOSTON}", 3220) == (transcript.name, len(transcript.body))
    assert streamkit.load("{BOSTON}") == transcript
"""
    run(project, source).assert_outcomes(passed=1)


def test_the_closest_marker_counts(project: pytest.Pytester) -> None:
    source = f"""
pytestmark = pytest.mark.streamkit("{BOSTON}")

def test_of_the_module(transcript):
    assert "{BOSTON}" == transcript.name

@pytest.mark.streamkit("openai_chat/synthetic_multibyte_text")
class TestClass:
    def test_of_the_class(self, transcript):
        assert "openai_chat/synthetic_multibyte_text" == transcript.name

    @pytest.mark.streamkit("openai_chat/synthetic_parallel_calls_crlf")
    def test_of_the_function(self, transcript):
        assert "openai_chat/synthetic_parallel_calls_crlf" == transcript.name
"""
    run(project, source).assert_outcomes(passed=3)


def test_without_fragmentations_the_recorded_chunks_are_replayed(project: pytest.Pytester) -> None:
    recorded(project, "cassettes/mine", [b"data: a", b"", b"bc\n\n", b"d"])
    source = """
@pytest.mark.streamkit("mine")
def test_a(transcript, fragmentation, replay):
    assert "7,7,11" == str(fragmentation)
    assert (transcript, fragmentation) == (replay.transcript, replay.fragmentation)
    assert [b"data: a", b"", b"bc\\n\\n", b"d"] == replay.chunks()
"""
    run(project, source).assert_outcomes(passed=1)


def test_real_clients_are_answered_with_the_chunks(project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("per-event")
def test_clients(replay, transcript):
    import httpx
    expected = replay.chunks()
    assert 12 == len(expected)
    with httpx.Client(transport=replay.httpx_transport(httpx)) as client:
        with client.stream("POST", "http://localhost/") as response:
            assert expected == list(response.iter_raw())
    response = replay.requests_session().post("http://localhost/", stream=True)
    assert expected == list(response.iter_content(None))
    with replay.openai() as client:
        assert "https://api.openai.com/v1/" == str(client.base_url)

@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("whole", "drip", "escape")
def test_openai(openai_client):
    import openai
    assert isinstance(openai_client, openai.OpenAI)
    stream = openai_client.chat.completions.create(model="gpt-4", messages=[], stream=True)
    calls = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]
    assert "get_current_weather" == calls[0].function.name
    assert '{{\\n  "location": "Boston"\\n}}' == "".join(call.function.arguments for call in calls)
    assert not openai_client.is_closed()
    type(openai_client).kept = openai_client

def test_after():
    import openai
    assert openai.OpenAI.kept.is_closed()
    del openai.OpenAI.kept
"""
    run(project, source).assert_outcomes(passed=5)


# -- the fragmentations


def test_a_test_runs_once_for_each_fragmentation_that_the_transcript_has(project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations()
def test_a(replay): ...
"""
    assert OF_BOSTON == ids(run(project, source, "--collect-only", "-q"))


def test_a_recorded_fragmentation_comes_first_where_there_is_one(project: pytest.Pytester) -> None:
    recorded(project, "cassettes/mine", [b"data: ", "é\n\n".encode()])
    source = """
@pytest.mark.streamkit("mine")
@pytest.mark.streamkit_fragmentations()
def test_a(fragmentation): ...
"""
    found = ids(run(project, source, "--collect-only", "-q"))
    assert ["recorded", "whole", "drip", "per-event", "hot", "utf8"] == found[:6]


def test_each_id_stands_for_its_cuts(project: pytest.Pytester) -> None:
    source = f"""
from streamkit import Fragmentation

@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations()
def test_a(fragmentation, transcript, request):
    name = request.node.callspec.id
    body = transcript.body
    expected = {{
        "whole": Fragmentation.whole(), "drip": Fragmentation.drip(body), "per-event": Fragmentation.per_event(body),
        "hot": Fragmentation(tuple(streamkit.wire.boundaries.boundaries(body).hot())),
    }}
    assert (expected[name] if name in expected else Fragmentation.at_class(body, name)) == fragmentation
"""
    run(project, source).assert_outcomes(passed=len(OF_BOSTON))


def test_named_fragmentations_run_in_the_order_of_the_names(project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("json", "drip", "recorded")
def test_a(fragmentation): ...
"""
    assert ["json", "drip", "recorded"] == ids(run(project, source, "--collect-only", "-q"))


def test_fragmentations_multiply_with_other_parameters(project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("json", "drip")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a(fragmentation, number): ...
"""
    run(project, source).assert_outcomes(passed=6)


def test_a_fixture_that_is_only_asked_for_by_a_marker_counts(project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("drip", "whole")
@pytest.mark.usefixtures("openai_client")
def test_a(): ...
"""
    run(project, source).assert_outcomes(passed=2)


# -- used wrongly


def complaint(result: pytest.RunResult) -> str:
    """Return the output of a run that ended in one error, which no traceback may surround."""
    result.assert_outcomes(errors=1)
    out = "\n".join(result.outlines)
    for trace in ("Traceback", "pytest_plugin.py", "library.py", "During handling", "Warning"):
        assert trace not in out
    return out


@pytest.mark.parametrize("marks", ["", "@pytest.mark.streamkit_fragmentations()\n"])
def test_an_unknown_transcript_is_answered_with_the_nearest(marks: str, project: pytest.Pytester) -> None:
    source = f"{marks}@pytest.mark.streamkit('openai_chat/bostn_weather')\ndef test_a(replay): ...\n"
    out = complaint(run(project, source))
    assert (
        "@pytest.mark.streamkit: no transcript named 'openai_chat/bostn_weather'; "
        "did you mean 'openai_chat/boston_weather'?"
    ) in out


@pytest.mark.parametrize("fixture", ["transcript", "fragmentation", "replay", "openai_client", "async_openai_client"])
def test_a_fixture_without_the_marker_says_what_to_write(fixture: str, project: pytest.Pytester) -> None:
    out = complaint(run(project, f"def test_a({fixture}): ...\n"))
    assert f'needs the transcript: @pytest.mark.streamkit("{BOSTON}")' in out


@pytest.mark.parametrize("arguments", ["", "3", "None", "'a', 'b'", "name='a', other=1"])
def test_a_marker_that_names_no_transcript_says_what_to_write(arguments: str, project: pytest.Pytester) -> None:
    out = complaint(run(project, f"@pytest.mark.streamkit({arguments})\ndef test_a(transcript): ...\n"))
    assert f'needs the transcript: @pytest.mark.streamkit("{BOSTON}")' in out


def test_fragmentations_without_a_transcript_say_what_to_write(project: pytest.Pytester) -> None:
    out = complaint(run(project, "@pytest.mark.streamkit_fragmentations()\ndef test_a(replay): ...\n"))
    assert f'streamkit_fragmentations needs the transcript: @pytest.mark.streamkit("{BOSTON}")' in out


@pytest.mark.parametrize("names", ["'drip', 'nope'", "'nope'", "'utf8'", "'DRIP'"])
def test_an_unknown_fragmentation_is_answered_with_those_there_are(names: str, project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations({names})
def test_a(fragmentation): ...
"""
    unknown = names.rpartition(", ")[2]
    out = complaint(run(project, source))
    assert f"@pytest.mark.streamkit_fragmentations: {BOSTON} has no fragmentation named {unknown}; it has: " in out
    assert ", ".join(OF_BOSTON) in out


def test_fragmentations_that_no_fixture_takes_are_an_error(project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations()
def test_a(transcript): ...
"""
    out = complaint(run(project, source))
    assert "@pytest.mark.streamkit_fragmentations has no effect: the test uses none of the fixtures" in out


# -- the project's own transcripts


@pytest.mark.parametrize("folder", ["cassettes", "tests/recorded"])
def test_a_project_has_a_folder_of_its_own(folder: str, project: pytest.Pytester) -> None:
    recorded(project, f"{folder}/weather/mine", [b"a", b"b"])
    source = """
@pytest.mark.streamkit("weather/mine")
def test_own(replay):
    assert [b"a", b"b"] == replay.chunks()

@pytest.mark.streamkit("openai_chat/boston_weather")
def test_bundled(transcript): ...
"""
    run(project, source, "-o", f"streamkit_cassettes={folder}").assert_outcomes(passed=2)


def test_the_folder_is_below_the_root_wherever_pytest_is_started(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(project, "cassettes/mine", [b"a"])
    source = "@pytest.mark.streamkit('mine')\ndef test_a(transcript): ...\n"
    monkeypatch.chdir(project.mkdir("deeper"))
    run(project, source, f"--rootdir={project.path}", str(project.path / "test_it.py")).assert_outcomes(passed=1)


def test_a_transcript_of_the_project_goes_before_a_bundled_one(project: pytest.Pytester) -> None:
    recorded(project, f"cassettes/{BOSTON}", [b"mine"])
    source = f"@pytest.mark.streamkit('{BOSTON}')\ndef test_a(transcript):\n    assert b'mine' == transcript.body\n"
    run(project, source).assert_outcomes(passed=1)


def test_a_broken_cassette_is_named_with_the_line(project: pytest.Pytester) -> None:
    recorded(project, "cassettes/mine", [b"a"])
    path = project.path / "cassettes" / "mine.yaml"
    path.write_text(path.read_text("utf-8").replace("version: 1", "version: 9", 1), "utf-8")
    out = complaint(run(project, "@pytest.mark.streamkit('mine')\ndef test_a(transcript): ...\n"))
    assert "@pytest.mark.streamkit: " in out
    assert "mine.yaml:1: version: VCR cassette version 9" in out


# -- what pytest is told


def test_the_markers_pass_strict_markers_and_explain_themselves(project: pytest.Pytester) -> None:
    source = f"""
@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("drip")
def test_a(replay): ...
"""
    run(project, source, "--strict-markers", "--strict-config", "-W", "error").assert_outcomes(passed=1)
    shown = project.runpytest_inprocess("--markers", "-p", "no:schemathesis").outlines
    assert 2 == len([line for line in shown if line.startswith("@pytest.mark.streamkit")])


def test_the_fixtures_explain_themselves(project: pytest.Pytester) -> None:
    out = "\n".join(project.runpytest_inprocess("--fixtures", "-p", "no:schemathesis").outlines)
    for fixture in ("transcript", "fragmentation", "replay", "openai_client", "async_openai_client"):
        documented = out.partition(f"\n{fixture} -- ")[2].splitlines()[1]
        assert documented.strip(), fixture
        assert "no docstring" not in documented
