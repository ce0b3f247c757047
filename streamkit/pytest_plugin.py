"""The pytest plugin: markers, fixtures, and counterexamples in the report.

    @pytest.mark.streamkit("openai_chat/boston_weather")
    @pytest.mark.streamkit_fragmentations()
    def test_weather(openai_client): ...

It must cost nothing where it is not used: importing it loads pytest and nothing else, there is no autouse fixture, and
everything of streamkit's is imported by the first test that asks for it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    import openai

    from streamkit.replay.session import Replay
    from streamkit.transcript import Transcript
    from streamkit.wire.fragmentation import Fragmentation

_MARKERS = (
    "streamkit(name): the transcript of the fixtures transcript, replay, openai_client and async_openai_client: "
    "a name from `streamkit list`, or a path below the cassette folder.",
    "streamkit_fragmentations(*names): run the test once for each fragmentation: recorded, whole, drip, per-event, "
    "hot, or a boundary class such as utf8; without names, all that the transcript has.",
)
_PROPERTY = "streamkit"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option for a project's own cassette folder."""
    parser.addini(
        "streamkit_cassettes", "Folder of the project's own transcripts, from the root directory.", default="cassettes"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def _folder(config: pytest.Config) -> Path:
    return config.rootpath / str(config.getini("streamkit_cassettes"))


def _load(config: pytest.Config, marker: pytest.Mark | None, what: str) -> Transcript:
    """Return the transcript that a marker names, or raise a StreamkitError that says what is wrong with it."""
    from streamkit.cassettes import load
    from streamkit.errors import StreamkitError, UsageError

    names = () if marker is None else (*marker.args, *marker.kwargs.values())
    if marker is None or len(names) != 1 or not isinstance(names[0], str) or set(marker.kwargs) - {"name"}:
        raise UsageError(f'{what} needs the transcript: @pytest.mark.streamkit("openai_chat/boston_weather")')
    try:
        return load(names[0], folder=_folder(config))
    except StreamkitError as error:
        raise UsageError(f"@pytest.mark.streamkit: {error}") from None


def _named(transcript: Transcript, names: tuple[Any, ...]) -> dict[str, Fragmentation]:
    """Return the fragmentations of those names, or of all names that the transcript has a use for."""
    from streamkit.errors import UsageError
    from streamkit.wire.boundaries import boundaries
    from streamkit.wire.fragmentation import Fragmentation

    body = transcript.body
    where = boundaries(body)
    found = {
        "recorded": transcript.recorded,
        "whole": Fragmentation.whole(),
        "drip": Fragmentation.drip(body),
        "per-event": Fragmentation.per_event(body),
        "hot": Fragmentation(tuple(where.hot())),
        **{str(kind): Fragmentation(tuple(where.offsets(kind))) for kind in where.classes()},
    }
    if not names:
        if not transcript.chunks_recorded:
            del found["recorded"]  # it is the same as "whole"
        return found
    unknown = [name for name in names if not isinstance(name, str) or name not in found]
    if unknown:
        raise UsageError(
            f"@pytest.mark.streamkit_fragmentations: {transcript.name} has no fragmentation named {unknown[0]!r}; "
            f"it has: {', '.join(found)}"
        )
    return {name: found[name] for name in names}


class _Unusable:
    """Stands for the fragmentations of a marker that cannot be used; the test's set-up fails with the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the marker `streamkit_fragmentations` once for each of them."""
    marker = metafunc.definition.get_closest_marker("streamkit_fragmentations")
    if marker is None or "fragmentation" not in metafunc.fixturenames:
        return
    from streamkit.errors import StreamkitError

    named: Mapping[str, object]
    try:
        transcript = _load(
            metafunc.config,
            metafunc.definition.get_closest_marker("streamkit"),
            "@pytest.mark.streamkit_fragmentations",
        )
        named = _named(transcript, marker.args)
    except StreamkitError as error:
        named = {"error": _Unusable(str(error))}
    metafunc.parametrize("fragmentation", list(named.values()), ids=list(named), indirect=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker `streamkit_fragmentations` has no effect."""
    if item.get_closest_marker("streamkit_fragmentations") is None:
        return
    if "fragmentation" not in getattr(item, "fixturenames", ()):
        pytest.fail(
            "@pytest.mark.streamkit_fragmentations has no effect: the test uses none of the fixtures fragmentation, "
            "replay, openai_client and async_openai_client",
            pytrace=False,
        )


@pytest.fixture
def transcript(request: pytest.FixtureRequest) -> Transcript:
    """The transcript that the marker `streamkit` names."""
    from streamkit.errors import StreamkitError

    try:
        return _load(request.config, request.node.get_closest_marker("streamkit"), "the fixture")
    except StreamkitError as error:
        message = str(error)
    pytest.fail(message, pytrace=False)


@pytest.fixture
def fragmentation(request: pytest.FixtureRequest) -> Fragmentation:
    """Where the transcript is cut: its recorded chunks, or one of `streamkit_fragmentations`."""
    chosen: Fragmentation | _Unusable | None = getattr(request, "param", None)
    if isinstance(chosen, _Unusable):
        pytest.fail(chosen.reason, pytrace=False)
    transcript: Transcript = request.getfixturevalue("transcript")
    return transcript.recorded if chosen is None else chosen


@pytest.fixture
def replay(fragmentation: Fragmentation, transcript: Transcript) -> Replay:
    """The transcript and its cuts, as chunks or behind a client; see `streamkit.replay.session.Replay`."""
    from streamkit.replay.session import Replay

    return Replay(transcript, fragmentation)


@pytest.fixture
def openai_client(replay: Replay) -> Generator[openai.OpenAI, None, None]:
    """A real OpenAI client that is answered with the transcript."""
    with replay.openai() as client:
        yield client


@pytest.fixture
def async_openai_client(replay: Replay) -> openai.AsyncOpenAI:
    """A real AsyncOpenAI client that is answered with the transcript. It holds no socket and need not be closed."""
    client: openai.AsyncOpenAI = replay.async_openai()
    return client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the counterexamples of an OracleFailure in a section of their own, and their tokens as properties."""
    report = yield
    errors = sys.modules.get("streamkit.errors")
    if call.excinfo is None or errors is None:
        return report
    found = list(_counterexamples(call.excinfo.value, errors.OracleFailure))
    if found:
        report.sections.append(("streamkit counterexample", "\n\n".join(str(one) for one in found)))
        for one in found:
            entry = (_PROPERTY, f"{one.headline}: {one.token}")
            item.user_properties.append(entry)
            if entry not in report.user_properties:
                report.user_properties.append(entry)
    return report


def _counterexamples(error: BaseException, kind: type[Any]) -> Generator[Any, None, None]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _counterexamples(inner, kind)
    elif isinstance(error, kind):
        yield from error.counterexamples


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """On GitHub Actions, annotate the test of each counterexample."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    seen = set()
    for report in (*terminalreporter.stats.get("failed", ()), *terminalreporter.stats.get("error", ())):
        for name, value in getattr(report, "user_properties", ()):
            if name == _PROPERTY and (report.nodeid, value) not in seen:
                seen.add((report.nodeid, value))
                path, line, _ = report.location
                text = str(value).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
                terminalreporter.write_line(f"::error file={path},line={(line or 0) + 1},title=streamkit::{text}")
