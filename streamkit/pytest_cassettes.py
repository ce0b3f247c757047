"""The cassette of a test: where it lies, how it is recorded, and what the session says about it.

`streamkit.pytest_plugin` holds the hooks and imports this module when the first test needs a cassette.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
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

__all__ = ["CASSETTE", "FACTS", "PASSED", "STARTED", "expected_paths", "module_of", "orphans", "running", "summary"]

#: What is said of a test's cassette; goes with the report of its teardown.
FACTS = pytest.StashKey[dict[str, Any]]()
#: The cassette of a test while it runs.
CASSETTE = pytest.StashKey["StreamCassette"]()
#: Whether a test has passed.
PASSED = pytest.StashKey[bool]()
#: When the session began, in nanoseconds; the workers of a distributed session share it.
STARTED = pytest.StashKey[int]()

_OWN = ("record_mode", "allowed_hosts", "name")


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


def expected_paths(items: Sequence[pytest.Item]) -> list[str]:
    """Return the paths of the cassettes of all marked tests, whatever fixtures they use."""
    found = set()
    for item in items:
        marker = item.get_closest_marker("streamkit")
        if marker is not None:
            with suppress(UsageError):  # its own set-up says so
                found.add(str(expected_path(item, marker)))
    return sorted(found)


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
    marker = item.get_closest_marker("streamkit") or pytest.mark.streamkit.mark
    try:
        path = expected_path(item, marker)
        mode = record_mode(item.config, marker, config)
        options = {**_from_ini(item.config), **config, **marker.kwargs}
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
            afterwards.callback(_keep_facts, item, cassette, path, mode)
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


def _keep_facts(item: pytest.Item, cassette: StreamCassette, path: Path, mode: str) -> None:
    recorded = cassette.recorded
    item.stash[FACTS] = {
        "test": item.nodeid,
        "cassette": _shown(item.config, path),
        "passed": item.stash.get(PASSED, False),
        "mode": mode,
        "loaded": cassette.loaded,
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


def orphans(config: pytest.Config, expected: Sequence[str], modules: Sequence[str]) -> list[str]:
    """Return the cassettes that are laid out by the names of tests and that no test has any more.

    Args:
        config: of the session.
        expected: paths of the cassettes of all tests that were collected.
        modules: paths of the test modules that were collected, without suffix, from the root directory.
    """
    folder = folder_of(config)
    found = []
    for path in sorted(folder.rglob("*.yaml")) if folder.is_dir() else []:
        module = path.parent.relative_to(folder).as_posix()
        name = path.parent.name
        ours = name.startswith("test_") or name.endswith("_test")
        gone = ours and not (config.rootpath / f"{module}.py").exists()
        if str(path) not in expected and (module in modules or gone):
            found.append(_shown(config, path))
    return found


def summary(facts: Sequence[dict[str, Any]], orphaned: Sequence[str]) -> tuple[list[str], int]:
    """Return the lines that a session ends with, and how many of them are complaints."""
    lines = [line for one in facts for line in _of_recording(one)]
    complaints = [line for one in facts for line in _of_streams(one)]
    complaints += _unplayed(facts)
    complaints += [f"no test uses {path}: delete it" for path in orphaned]
    return [*lines, *complaints], len(complaints)


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


def _unplayed(facts: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the interactions that none of the tests that share a cassette has played."""
    by_cassette: dict[str, list[dict[str, Any]]] = {}
    for one in facts:
        by_cassette.setdefault(one["cassette"], []).append(one)
    for cassette, tests in sorted(by_cassette.items()):
        if not all(one["passed"] and one["mode"] in ("none", "once", "new_episodes") for one in tests):
            continue
        played = {number for one in tests for number in one["played"]}
        left = {number: what for one in tests for number, what in one["unplayed"] if number not in played}
        for number, what in sorted(left.items()):
            yield f"{cassette}: interaction {number} was not played: {what}"
