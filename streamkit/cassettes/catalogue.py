"""The transcripts that travel with streamkit, found by dialect, by feature and by server."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING

from streamkit import dialects
from streamkit.cassettes.encoding import decoded
from streamkit.cassettes.features import FEATURES, features, spoken
from streamkit.cassettes.library import RECORDED, bundled_folder, everything
from streamkit.errors import StreamkitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from streamkit.transcript import Transcript

__all__ = ["chosen", "library"]


def library(
    *, dialect: str | None = None, feature: str | Sequence[str] | None = None, server: str | None = None
) -> list[Transcript]:
    """Return transcripts that travel with streamkit, in the order of their names.

    Args:
        dialect: only those that speak this dialect.
        feature: only those that have this feature, or all of several. `streamkit.cassettes.features.FEATURES` names
            them.
        server: only those that this server sent: "llama-cpp-python", or with its version "llama-cpp-python 0.3.36".
            The name of its folder in `recorded/` will do too: "llama-server"; case, "-" and "_" make no difference.

    Raises:
        UsageError: there is no such dialect or feature, or no transcript of such a server; the nearest and the known
            ones are named.
    """
    return chosen(_everything(bundled_folder()), dialect=dialect, feature=feature, server=server)


def chosen(
    transcripts: Iterable[Transcript],
    *,
    dialect: str | None = None,
    feature: str | Sequence[str] | None = None,
    server: str | None = None,
) -> list[Transcript]:
    """Return those of some transcripts that fit; see `library`.

    Raises:
        UsageError: as for `library`.
    """
    listed = list(transcripts)
    asked = [feature] if isinstance(feature, str) else list(feature or ())
    for name in asked:
        if name not in FEATURES:
            raise UsageError(f"there is no feature {name!r}{_near(name, FEATURES)} There are: {', '.join(FEATURES)}")
    if dialect is not None:
        dialects.get(dialect)
    if server is not None:
        known = sorted({name for one in listed for name in _servers(one)})
        if _plain(server) not in map(_plain, known):
            raise UsageError(
                f"no transcript of a server {server!r}{_near(server, known)} There are: {', '.join(known) or '(none)'}"
            )
    return [
        one
        for one in listed
        if (server is None or _plain(server) in map(_plain, _servers(one)))
        and (dialect is None or _speaks(one) == dialect)
        and (not asked or features(one).issuperset(asked))
    ]


def _servers(transcript: Transcript) -> set[str]:
    """Return the names by which the server of a transcript is found."""
    if not transcript.server:
        return set()
    names = {transcript.server, transcript.server.rpartition(" ")[0] or transcript.server}
    folder, _, rest = transcript.name.partition("/")
    if folder == RECORDED and "/" in rest:
        named = rest.partition("/")[0].replace("_", "-")  # llama.cpp's is known as llama-server
        names |= {named} - {*map(_plain, names)}
    return names


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-").replace(" ", "-")


def _near(name: object, known: Iterable[str]) -> str:
    """Return a question for the nearest name if one is near, and else the end of the sentence."""
    plain = {_plain(one): one for one in known}
    near = difflib.get_close_matches(_plain(str(name)), plain, 1)
    return f"; did you mean {plain[near[0]]!r}?" if near else "."


def _speaks(transcript: Transcript) -> str | None:
    dialect = spoken(transcript)
    return None if dialect is None else dialect.name


@lru_cache(maxsize=4)
def _everything(folder: Path) -> tuple[Transcript, ...]:
    return tuple(map(_as_read, everything(folder)))


def _as_read(transcript: Transcript) -> Transcript:
    """Return a transcript as `load` gives it: with its body decoded, where that can be done."""
    try:
        return decoded(transcript)
    except StreamkitError:
        return transcript
