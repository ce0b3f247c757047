"""The cassette of a test: where it lies, how it is recorded, and what the session says about it.

`streamkit.pytest_plugin` holds the hooks and imports this module when the first test needs a cassette.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import pytest

from streamkit.cassettes.files import file_name, inside
from streamkit.errors import CassetteError, StreamkitError, UsageError
from streamkit.transcript import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from streamkit.replay.stream_cassette import StreamCassette
    from streamkit.transcript import Transcript

__all__ = ["STARTED", "collected", "note", "replaying", "running", "summary"]

#: What is said of a test's cassette; goes with the report of its teardown.
FACTS = pytest.StashKey[dict[str, Any]]()
#: The cassette of a test while it runs.
CASSETTE = pytest.StashKey["StreamCassette"]()
#: Whether a test has passed.
PASSED = pytest.StashKey[bool]()
#: Whether a part of a test has failed: one that has failing subtests may pass for all that.
FAILED = pytest.StashKey[bool]()
#: When the session began, in nanoseconds; the workers of a distributed session share it.
STARTED = pytest.StashKey[int]()

_OWN = ("record_mode", "allowed_hosts", "name")
_UNMARKED = pytest.mark.streamkit.mark
_REPLAYING = ("none", "once", "new_episodes")
_INTERNAL = {"since", "how", "report"}


def folder_of(config: pytest.Config) -> Path:
    """Return the cassette folder of the project."""
    return config.rootpath / str(config.getini("streamkit_cassettes"))


def expected_path(item: pytest.Item, marker: pytest.Mark) -> Path:
    """Return the path of a test's cassette: of the name in its marker, or of its own.

    Raises:
        UsageError: the name leads out of the folder.
    """
    names = [*marker.args, *([marker.kwargs["name"]] if "name" in marker.kwargs else [])]
    folder = folder_of(item.config)
    if len(names) > 1 or (names and not isinstance(names[0], str)):
        raise UsageError('@pytest.mark.streamkit takes one name: @pytest.mark.streamkit("chat/weather"), or none')
    if names:
        return inside(folder, names[0])
    parts = [node.name for node in item.listchain() if isinstance(node, pytest.Class | pytest.Item)]
    return folder / module_of(item) / f"{file_name('.'.join(parts))}.yaml"


def collected(items: Sequence[pytest.Item]) -> dict[str, Any]:
    """Return what the session has to know of its tests: the modules, and how many tests each cassette has.

    All marked tests count, whatever fixtures they use. It goes from the workers to the controller as it is.
    """
    tests: dict[str, int] = {}
    for item in items:
        marker = item.get_closest_marker("streamkit")
        if marker is not None or "streamkit_cassette" in getattr(item, "fixturenames", ()):
            with suppress(UsageError):  # its own set-up says so
                path = _shown(item.config, expected_path(item, marker or _UNMARKED))
                tests[path] = tests.get(path, 0) + 1
    # pytest-recording lays its cassettes out in the same way, beside the modules, which may be our folder too.
    others = {module_of(item) for item in items if item.get_closest_marker("vcr") is not None}
    return {"tests": tests, "modules": sorted({module_of(item) for item in items} - others)}


def module_of(item: pytest.Item) -> str:
    """Return the test module of an item: its path from the root directory, without suffix."""
    try:
        return item.path.relative_to(item.config.rootpath).with_suffix("").as_posix()
    except ValueError:
        return item.path.stem


@contextmanager
def running(request: pytest.FixtureRequest, config: Mapping[str, Any]) -> Iterator[StreamCassette]:
    """Run a test with its cassette.

    Args:
        request: of the fixture.
        config: options of `use_cassette` that hold for all tests.
    """
    from streamkit.replay.network import network_blocked
    from streamkit.replay.use import use_cassette

    item: pytest.Item = request.node
    marker = item.get_closest_marker("streamkit") or _UNMARKED
    try:
        if "vcr" in request.fixturenames and item.get_closest_marker("vcr") is not None:
            raise UsageError("the test is marked with vcr too, and only one can record it: leave one of the two out")
        path = expected_path(item, marker)
        mode = record_mode(item.config, marker, config)
        options = {**_from_ini(item.config), **config, **marker.kwargs}
        if internal := sorted(_INTERNAL.intersection(options)):
            raise UsageError(f"use_cassette() knows no option {internal[0]!r}")
        hosts = [*item.config.getini("streamkit_allowed_hosts"), *_listed(options.get("allowed_hosts", ()))]
        context = use_cassette(
            path,
            record_mode=mode,
            since=item.config.stash.get(STARTED, None),
            how="pytest --streamkit-record=new_episodes" if path.exists() else "pytest --streamkit-record=once",
            report=None,
            **{key: value for key, value in options.items() if key not in _OWN},
        )
        with ExitStack() as afterwards, ExitStack() as stack:
            cassette = stack.enter_context(context)
            named = bool(marker.args or "name" in marker.kwargs)
            afterwards.callback(_keep_facts, item, cassette, path, mode, named)
            if mode == "none" and _blocks(item.config):
                stack.enter_context(network_blocked(hosts))
            item.stash[CASSETTE] = cassette
            try:
                yield cassette
            finally:
                cassette.discard = not item.stash.get(PASSED, False)
    except StreamkitError as error:
        message = str(error) if isinstance(error, CassetteError) else f"@pytest.mark.streamkit: {error}"
        pytest.fail(message, pytrace=False)


def note(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Tell the cassette how its test went, and the report what became of the cassette."""
    if report.when == "teardown":
        told = item.stash.get(FACTS, None)
        if told is not None:
            report.streamkit = told  # type: ignore[attr-defined]  # reports carry further attributes between processes
            del item.stash[FACTS]
        return
    item.stash[FAILED] = report.failed or (report.when == "call" and item.stash.get(FAILED, False))
    item.stash[PASSED] = report.when == "call" and report.passed and not item.stash[FAILED]
    cassette = item.stash.get(CASSETTE, None)
    if report.failed and cassette is not None and cassette.misses:
        shown = str(call.excinfo.value) if call.excinfo is not None else ""
        missed = [str(miss) for miss in cassette.misses if str(miss) != shown]
        if missed:
            report.sections.append(("streamkit: unmatched request", "\n\n".join(dict.fromkeys(missed))))


def replaying(config: pytest.Config, marker: pytest.Mark) -> AbstractContextManager[None]:
    """Return the block of the network for a test that a fixture answers; none where the session records."""
    from streamkit.replay.network import network_blocked

    if not _blocks(config) or config.getoption("streamkit_record") not in (None, "none"):
        return nullcontext()
    hosts = [*config.getini("streamkit_allowed_hosts"), *_listed(marker.kwargs.get("allowed_hosts", ()))]
    return network_blocked(hosts)


def record_mode(config: pytest.Config, marker: pytest.Mark, options: Mapping[str, Any]) -> str:
    """Return the record mode of a test: the command line's, the marker's, the fixture's, the ini file's, or none."""
    from streamkit.replay.use import RECORD_MODES

    chosen = (
        config.getoption("streamkit_record")
        or marker.kwargs.get("record_mode")
        or options.get("record_mode")
        or str(config.getini("streamkit_record"))
        or "none"
    )
    if chosen not in RECORD_MODES:
        raise UsageError(f"record mode {chosen!r}: write one of {', '.join(RECORD_MODES)}")
    return str(chosen)


def _from_ini(config: pytest.Config) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if config.getini("streamkit_match_on"):
        found["match_on"] = tuple(config.getini("streamkit_match_on"))
    if config.getini("streamkit_ignore_json"):
        found["ignore_json"] = tuple(config.getini("streamkit_ignore_json"))
    return found


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _blocks(config: pytest.Config) -> bool:
    return bool(config.getoption("streamkit_block_network") != "off")


def _keep_facts(item: pytest.Item, cassette: StreamCassette, path: Path, mode: str, named: bool) -> None:
    recorded = cassette.recorded
    item.stash[FACTS] = {
        "test": item.nodeid,
        "cassette": _shown(item.config, path),
        "named": named,
        "passed": item.stash.get(PASSED, False),
        "mode": mode,
        "played": list(cassette.played),
        "unplayed": [list(one) for one in cassette.unplayed],
        "recorded": [[len(one.body), _told(one)] for one in recorded],
        "written": bool(cassette.saved),
        "undrained": [str(stream) for stream in cassette.undrained],
        "misses": [f"{miss.method} {miss.url}: {miss.reason}" for miss in cassette.misses],
    }


def _told(transcript: Transcript) -> str:
    """Return how a transcript ended, in a word; the client's closing after the last event is complete to its reader."""
    from streamkit.replay.delivery import is_over

    if transcript.ending is Ending.CLIENT_CLOSED and is_over(transcript):
        return "complete"
    return str(transcript.ending)


def _shown(config: pytest.Config, path: Path) -> str:
    try:
        return path.relative_to(config.rootpath).as_posix()
    except ValueError:
        return str(path)


# -- the session


def summary(config: pytest.Config, facts: Sequence[dict[str, Any]], found: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the lines that a session ends with, and how many of them are complaints.

    Args:
        config: of the session.
        facts: what each test said of its cassette.
        found: what was `collected`.
    """
    lines = [line for one in facts for line in _of_recording(one)]
    complaints = [line for one in facts for line in _of_streams(one)]
    partial = _is_partial(config)
    complaints += _unplayed(facts, {} if partial else found["tests"])
    complaints += [] if partial else [f"no test uses {path}: delete it" for path in orphans(config, found)]
    return [*lines, *complaints], len(complaints)


def _is_partial(config: pytest.Config) -> bool:
    """Whether only a part of the tests was collected, so that others may use what these do not."""
    option = config.option
    if getattr(option, "lf", False) or getattr(option, "collectonly", False):
        return True
    return not all((config.invocation_params.dir / argument).is_dir() for argument in config.args)


def orphans(config: pytest.Config, found: Mapping[str, Any]) -> list[str]:
    """Return the cassettes that are laid out by the names of tests and that no test has any more."""
    folder = folder_of(config)
    left = []
    for path in sorted(folder.rglob("*.yaml")) if folder.is_dir() else []:
        module = path.parent.relative_to(folder).as_posix()
        name = path.parent.name
        ours = name.startswith("test_") or name.endswith("_test")
        gone = ours and not (config.rootpath / f"{module}.py").exists()
        shown = _shown(config, path)
        if shown not in found["tests"] and (module in found["modules"] or (gone and _is_below(module, config))):
            left.append(shown)
    return left


def _is_below(module: str, config: pytest.Config) -> bool:
    """Whether a module would have been collected if it was still there."""
    folders = [config.invocation_params.dir / argument for argument in config.args]
    return any((config.rootpath / module).is_relative_to(folder.resolve()) for folder in folders)


def _of_recording(one: dict[str, Any]) -> Iterator[str]:
    if not one["recorded"]:
        return
    total = len(one["recorded"])
    what = f"{total} interaction" + ("" if total == 1 else "s")
    endings = [ending for _, ending in one["recorded"]]
    size = sum(size for size, _ in one["recorded"])
    odd = sorted({ending for ending in endings if ending != "complete"})
    told = f", ending: {', '.join(odd)}" if odd else ""
    if one["written"]:
        yield f"wrote {one['cassette']}: {what} recorded, {size} bytes{told}"
    else:
        why = "the test did not pass" if not one["passed"] else "it could not be written"
        yield f"did not write {one['cassette']}: {what} recorded, but {why}"


def _of_streams(one: dict[str, Any]) -> Iterator[str]:
    for stream in one["undrained"]:
        yield f"{one['test']}: {stream}; it was closed"
    if one["passed"]:
        for miss in one["misses"]:
            yield f"{one['test']}: passed, although nothing answers {miss}"


def _unplayed(facts: Sequence[dict[str, Any]], tests: Mapping[str, int]) -> Iterator[str]:
    """Yield the interactions that none of the tests that share a cassette has played.

    Nothing is said of a cassette that was recorded into, nor of one whose tests have not all run and passed.

    Args:
        facts: what each test said of its cassette.
        tests: how many tests each cassette has; empty where not all are known, and then only those count that no
            other test can share.
    """
    by_cassette: dict[str, dict[str, dict[str, Any]]] = {}
    for one in facts:
        by_cassette.setdefault(one["cassette"], {})[one["test"]] = one  # the last of its runs
    for cassette, by_test in sorted(by_cassette.items()):
        ran = list(by_test.values())
        all_ran = len(ran) == tests.get(cassette, 0) if tests else not any(one["named"] for one in ran)
        if not all_ran or not all(one["passed"] and one["mode"] in _REPLAYING and not one["recorded"] for one in ran):
            continue
        played = {number for one in ran for number in one["played"]}
        left = {number: what for one in ran for number, what in one["unplayed"] if number not in played}
        for number, what in sorted(left.items()):
            yield f"{cassette}: interaction {number} was not played: {what}"
