"""The pytest plugin: markers, fixtures, and counterexamples in the report.

    @pytest.mark.streamkit("openai_chat/boston_weather")
    @pytest.mark.streamkit_fragmentations()
    def test_weather(openai_client): ...

    @pytest.mark.streamkit
    def test_my_application(): ...          # recorded once with --streamkit-record=once, then replayed

It must cost nothing where it is not used: importing it loads pytest and nothing else, there is no autouse fixture, and
everything of streamkit's is imported by the first test that asks for it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import openai

    from streamkit.replay.session import Replay
    from streamkit.replay.stream_cassette import StreamCassette
    from streamkit.transcript import Transcript
    from streamkit.wire.fragmentation import Fragmentation

_MARKERS = (
    "streamkit(name=None, *, record_mode=None, allowed_hosts=(), **options): the cassette of the test. The fixtures "
    "transcript, replay, openai_client and async_openai_client answer from the transcript of that name (see "
    "`streamkit list`); a test that uses none of them has its HTTP recorded and replayed, under the name or its own.",
    "streamkit_fragmentations(*names): run the test once for each fragmentation: recorded, whole, drip, per-event, "
    "hot, or a boundary class such as utf8; without names, all that the transcript has.",
)
_PROPERTY = "streamkit"
_REPLAYING = {"transcript", "fragmentation", "replay", "openai_client", "async_openai_client", "replay_url"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line and of the ini file."""
    group = parser.getgroup("streamkit", "recording and replaying token streams")
    group.addoption(
        "--streamkit-record",
        dest="streamkit_record",
        choices=("none", "once", "new_episodes", "all", "rewrite"),
        default=None,
        help="How tests marked with streamkit record: none only replays (the default), once records where there is no "
        "cassette, new_episodes adds what is missing, all records everything, rewrite begins anew.",
    )
    group.addoption(
        "--streamkit-block-network",
        dest="streamkit_block_network",
        nargs="?",
        choices=("on", "off"),
        const="on",
        default=None,
        help="Block the network: on for every test that does not record, off for none; by default for marked tests "
        "that only replay.",
    )
    group.addoption(
        "--streamkit-strict",
        dest="streamkit_strict",
        action="store_true",
        help="Fail the session when an interaction was not played, a cassette has no test, or a stream was left open.",
    )
    parser.addini(
        "streamkit_cassettes", "Folder of the project's own transcripts, from the root directory.", default="cassettes"
    )
    parser.addini("streamkit_record", "Record mode where the command line names none.", default="")
    parser.addini("streamkit_match_on", "What of a request is compared.", type="args", default=[])
    parser.addini("streamkit_ignore_json", "JSON paths that may differ.", type="linelist", default=[])
    parser.addini("streamkit_allowed_hosts", "Hosts that stay reachable.", type="args", default=[])


def pytest_make_parametrize_id(val: object) -> str | None:
    """Let a parameter that is a transcript be known by its name."""
    known = sys.modules.get("streamkit.transcript")  # not imported: then it can be none
    return val.name or None if known is not None and isinstance(val, known.Transcript) else None


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, the fixtures with sockets, and what gathers the cassettes of the session."""
    from streamkit import pytest_servers

    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    config.pluginmanager.register(pytest_servers, "streamkit-servers")
    config.pluginmanager.register(_Session(config), "streamkit-session")


class _Session:
    """Gathers what the tests say of their cassettes, from all workers of a distributed session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.facts: list[dict[str, Any]] = []
        self.collected: dict[str, Any] = {}
        workerinput = getattr(config, "workerinput", {})
        self.started = int(workerinput.get("streamkit_started", time.time_ns()))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker when the session began."""
        node.workerinput["streamkit_started"] = self.started

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker has collected; each collects everything."""
        self.collected = getattr(node, "workeroutput", {}).get("streamkit") or self.collected

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Give each marked test that replays through no fixture its cassette, and note where that lies."""
        marked = [item for item in items if item.get_closest_marker("streamkit") is not None]
        for item in marked:
            names: list[str] = getattr(item, "fixturenames", [])
            if not _REPLAYING.intersection(names) and "streamkit_cassette" not in names:
                place = _after_wider_scopes(item, names)
                # A list of its own: the parameters of a test share one, and not all of them need be marked.
                item.fixturenames = [*names[:place], "streamkit_cassette", *names[place:]]  # type: ignore[attr-defined]
        if not any("streamkit_cassette" in getattr(item, "fixturenames", ()) for item in items):
            return
        from streamkit.pytest_cassettes import STARTED, collected

        self.config.stash[STARTED] = self.started
        self.collected = collected(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test says of its cassette."""
        told = getattr(report, "streamkit", None)
        if told is not None:
            self.facts.append(told)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand on to the controller what was collected, and fail a strict session."""
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["streamkit"] = self.collected
        elif self.config.getoption("streamkit_strict") and self.lines()[1] and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was written, left unplayed, left open, or has no test any more."""
        lines, _ = self.lines()
        if lines:
            terminalreporter.write_sep("=", "streamkit")
            for line in lines:
                terminalreporter.write_line(line)

    def lines(self) -> tuple[list[str], int]:
        """Return what is to be said, and how many complaints are in it."""
        if not self.collected:
            return [], 0
        from streamkit.pytest_cassettes import summary

        return summary(self.config, self.facts, self.collected)


def _after_wider_scopes(item: pytest.Item, names: list[str]) -> int:
    """Return the place of the first fixture that lives as long as the test.

    pytest-recording's block is left before it, for it puts itself in the place of any other.
    """
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    wider = [n for n, name in enumerate(names) if name in known
             and (name == "block_network" or known[name][-1].scope != "function")]  # fmt: skip
    return max(wider, default=-1) + 1


def _folder(config: pytest.Config) -> Path:
    return config.rootpath / str(config.getini("streamkit_cassettes"))


def _load(config: pytest.Config, marker: pytest.Mark | None, what: str) -> Transcript:
    """Return the transcript that a marker names, or raise a StreamkitError that says what is wrong with it."""
    from streamkit.cassettes import load
    from streamkit.errors import StreamkitError, UsageError

    named = [] if marker is None or "name" not in marker.kwargs else [marker.kwargs["name"]]
    names = [] if marker is None else [*marker.args, *named]
    strange = set() if marker is None else set(marker.kwargs) - {"name", "allowed_hosts", "record_mode"}
    if len(names) != 1 or not isinstance(names[0], str) or strange:
        raise UsageError(f'{what} needs the transcript: @pytest.mark.streamkit("openai_chat/boston_weather")')
    try:
        return load(names[0], folder=_folder(config))
    except StreamkitError as error:
        raise UsageError(f"@pytest.mark.streamkit: {error}") from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the marker `streamkit_fragmentations` once for each of them."""
    marker = metafunc.definition.get_closest_marker("streamkit_fragmentations")
    if marker is None or "fragmentation" not in metafunc.fixturenames:
        return
    from streamkit.pytest_fragmentations import chosen

    definition = metafunc.definition
    named = chosen(
        definition.iter_markers("parametrize"),
        marker.args,
        lambda: _load(
            metafunc.config, definition.get_closest_marker("streamkit"), "@pytest.mark.streamkit_fragmentations"
        ),
    )
    metafunc.parametrize("fragmentation", list(named.values()), ids=list(named), indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Block the network for every test where the command line asks for it, but for those that record."""
    if item.config.getoption("streamkit_block_network") != "on" or "streamkit_cassette" in getattr(
        item, "fixturenames", ()
    ):
        return (yield)
    from streamkit.replay.network import network_blocked

    with network_blocked(item.config.getini("streamkit_allowed_hosts")):
        return (yield)


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
def transcript(request: pytest.FixtureRequest) -> Generator[Transcript, None, None]:
    """The transcript that the marker `streamkit` names. The network is blocked, as in every test that replays."""
    from streamkit.errors import StreamkitError

    marker = request.node.get_closest_marker("streamkit")
    try:
        found = _load(request.config, marker, "the fixture")
    except StreamkitError as error:
        message = str(error)
    else:
        from streamkit.pytest_cassettes import replaying

        with replaying(request.config, marker):
            yield found
        return
    pytest.fail(message, pytrace=False)


@pytest.fixture
def fragmentation(request: pytest.FixtureRequest) -> Fragmentation:
    """Where the transcript is cut: its recorded chunks, or one of `streamkit_fragmentations`."""
    from streamkit.pytest_fragmentations import ByName, Unusable

    chosen: Fragmentation | ByName | Unusable | None = getattr(request, "param", None)
    if isinstance(chosen, Unusable):
        pytest.fail(chosen.reason, pytrace=False)
    transcript: Transcript = request.getfixturevalue("transcript")
    if chosen is None:
        return transcript.recorded
    return chosen.of(transcript) if isinstance(chosen, ByName) else chosen


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


@pytest.fixture
def streamkit_config() -> dict[str, Any]:
    """Options of `streamkit.use_cassette` for all tests; override it in a conftest."""
    return {}


@pytest.fixture
def streamkit_cassette(
    request: pytest.FixtureRequest, streamkit_config: dict[str, Any]
) -> Generator[StreamCassette, None, None]:
    """The cassette that records or replays the HTTP of the test."""
    from streamkit.pytest_cassettes import running

    with running(request, streamkit_config) as cassette:
        yield cassette


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the counterexamples of an OracleFailure in a section of their own, and their tokens as properties."""
    report = yield
    cassettes = sys.modules.get("streamkit.pytest_cassettes")
    if cassettes is not None:
        cassettes.note(item, call, report)
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
