"""`use_cassette`: record a live stream once, replay it for ever."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamkit.errors import StreamkitWarning, UsageError
from streamkit.replay.delivery import Pace
from streamkit.replay.matching import MATCH_ON, json_body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.cassettes.redaction import Redaction
    from streamkit.replay.clock import Clock
    from streamkit.replay.context import CassetteContext
    from streamkit.replay.stream_cassette import StreamCassette

__all__ = ["RECORD_MODES", "cassette_path", "use_cassette"]

RECORD_MODES = ("none", "once", "new_episodes", "all", "rewrite")
_SUFFIXES = (".yaml", ".yml", ".json")


def use_cassette(
    name: Any = None,
    *,
    record_mode: str = "once",
    folder: str | Path | None = None,
    match_on: Sequence[str | Callable[[Any, Any], Any]] = MATCH_ON,
    ignore_json: Sequence[str] = (),
    speed: float | None = None,
    clock: Clock | None = None,
    redaction: Redaction | bool = True,
    **options: Any,
) -> CassetteContext:
    """Record what HTTP clients receive, chunk by chunk, or replay it: context manager and decorator, sync and async.

    It is vcrpy's `use_cassette` with streams: each chunk reaches the caller when it arrives, and is noted with its
    time; on replay the same chunks come back, and after the last one the same end, be it an exception. httpx, httpx2,
    requests, urllib3, http.client and aiohttp; other clients are recorded as vcrpy does it.

    Args:
        name: such as "chat/weather", a file `weather.yaml` below the cassette folder; or a path that ends in .yaml.
            Where None, a decorated function gives the name.
        record_mode: "once" records if there is no cassette yet and replays if there is; "none" only replays;
            "new_episodes" replays what it can and records the rest; "all" records everything; "rewrite" begins anew.
        folder: the cassette folder; where None the one that the environment variable STREAMKIT_CASSETTES names, else
            `cassettes` in the current directory.
        match_on: what of a request is compared: vcrpy's matchers, "json_body", or functions of two requests of vcrpy's.
            The default: method, host, path, query and the JSON body by meaning.
        ignore_json: JSON paths that may differ, such as "$.user" or "$.messages[*].id".
        speed: of replay: 0 for at once, 1 for the recorded times, 2 for twice as fast; None for 0, or 1 where a clock
            is given. The read timeouts of the clients then hold.
        clock: what waits; a `VirtualClock` needs no real time.
        redaction: True for the default rules, a `Redaction` for further ones, False for none.
        options: of vcrpy: before_record_request, filter_headers, allow_playback_repeats, ignore_hosts, serializer,
            record_on_exception, and so on.

    Returns:
        The context; entering it gives the cassette.

    Raises:
        UsageError: an argument cannot be used, or the name leads out of the folder.
        CassetteFormatError: on entering, if there is a file and it is broken; it is never recorded over.
        UnmatchedRequestError: from within a client, if no interaction answers a request that may not be recorded.
    """
    if callable(name) and not isinstance(name, str | os.PathLike):
        context: Any = use_cassette(record_mode=record_mode)
        return context(name)  # type: ignore[no-any-return]  # a decorated function
    if record_mode not in RECORD_MODES:
        raise UsageError(f"record_mode is {record_mode!r}: write one of {', '.join(RECORD_MODES)}")
    folder = options.pop("cassette_library_dir", folder)
    return _context(
        None if name is None else cassette_path(name, folder),
        record_mode=record_mode,
        folder=_folder(folder),
        match_on=(match_on,) if isinstance(match_on, str) else tuple(match_on),
        matcher=json_body(ignore_json),
        pace=Pace.of(speed, clock),
        redaction=redaction,
        options=options,
    )


def _folder(folder: str | Path | None) -> Path:
    return Path(folder if folder is not None else os.environ.get("STREAMKIT_CASSETTES") or "cassettes")


def cassette_path(name: str | os.PathLike[str], folder: str | Path | None = None) -> Path:
    """Return the path that a cassette's name stands for.

    A text with a suffix is a path: below the folder where one is given, else below the current directory. A text
    without one is a name below the folder. Neither may lead upwards; a Path object may.

    Raises:
        UsageError: the name leads out of the folder.
    """
    from streamkit.cassettes.files import inside

    text = os.fspath(name)
    if isinstance(name, os.PathLike):
        return Path(name) if Path(name).suffix in _SUFFIXES else Path(f"{text}.yaml")
    if text.endswith(_SUFFIXES) and (folder is None or Path(text).is_absolute()):
        if ".." in Path(text).parts:
            raise UsageError(f"{text!r} leads upwards: give a Path object if that is meant")
        return Path(text)
    return inside(_folder(folder), text)


def _context(
    path: Path | None,
    *,
    record_mode: str,
    folder: Path,
    match_on: tuple[Any, ...],
    matcher: Any,
    pace: Pace,
    redaction: Redaction | bool,
    options: dict[str, Any],
) -> CassetteContext:
    from vcr.config import VCR

    from streamkit.cassettes.files import file_name
    from streamkit.replay import conversion
    from streamkit.replay.context import CassetteContext
    from streamkit.replay.persister import Settings
    from streamkit.replay.stream_cassette import StreamCassette

    extra = {key: options.pop(key) for key in ("since", "how", "report") if key in options}
    vcr = VCR(record_mode="once" if record_mode == "rewrite" else record_mode)
    vcr.register_matcher("json_body", matcher)
    for one in match_on:
        if callable(one):
            vcr.register_matcher(one.__name__, one)
        elif one not in vcr.matchers:
            raise UsageError(f"match_on names no matcher {one!r}; there are: {', '.join(sorted(vcr.matchers))}")
    options = {**options, "match_on": tuple(one.__name__ if callable(one) else one for one in match_on)}
    unknown = sorted(set(options) - _known_options())
    if unknown:
        raise UsageError(f"use_cassette() knows no option {unknown[0]!r}")

    def arguments() -> dict[str, Any]:
        settings = Settings(
            redactor=_redactor(redaction),
            pace=pace,
            start_over=record_mode == "rewrite",
            mode=record_mode,
            **{"report": _warn, **extra},
        )
        if settings.since is not None and path is not None and record_mode in ("once", "rewrite"):
            # Others of this session may write the file at any moment: only one that is surely older is replayed alone.
            older = record_mode == "once" and path.exists() and path.stat().st_mtime_ns < settings.since
            vcr.record_mode = type(vcr.record_mode)("once" if older else "new_episodes")
        config: dict[str, Any] = vcr.get_merged_config(**options)
        config["persister"] = options.get("persister")
        config["before_record_request"] = _pipeline(config["before_record_request"], settings, conversion)
        config["path_transformer"] = None
        config["func_path_generator"] = lambda function: str(folder / f"{file_name(function.__name__)}.yaml")
        config["settings"] = settings
        if path is not None:
            config["path"] = str(path)
        return config

    return CassetteContext(StreamCassette, arguments)


def _known_options() -> set[str]:
    import inspect

    from vcr.config import VCR

    return {*inspect.signature(VCR.__init__).parameters, "persister", "additional_matchers", "allow_playback_repeats"}


def _redactor(redaction: Redaction | bool) -> Any:
    from streamkit.cassettes.redaction import Redaction, Redactor

    if redaction is False:
        return None
    if redaction is not True and not isinstance(redaction, Redaction):
        raise UsageError(f"redaction is {redaction!r}: write True, False or a Redaction with rules of your own")
    return Redactor(redaction if isinstance(redaction, Redaction) else None)


def _pipeline(filters: Any, settings: Any, conversion: Any) -> Any:
    """Return vcrpy's hook for requests: its body as bytes, the caller's filters, and at the end the redaction.

    The credentials are learnt first, for a filter may remove them, and the response may still hold them.
    """

    def before_record_request(sent: Any) -> Any:
        if sent is None or f"{sent.host}:{sent.port}" in settings.own:
            return None
        plain = conversion.plain_request(sent)
        redactor = settings.redactor
        if redactor is not None:
            redactor.learn(conversion.request(plain))
        kept = filters(plain)
        if not kept or redactor is None:
            return kept
        return conversion.vcr_request(redactor.request(conversion.request(kept)))

    return before_record_request


def _warn(cassette: StreamCassette) -> None:
    import warnings

    for stream in cassette.undrained:
        warnings.warn(f"{stream}; it was closed with its cassette {cassette.path}", StreamkitWarning, stacklevel=4)
