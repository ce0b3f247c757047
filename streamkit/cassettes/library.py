"""Transcripts by name: a project's own `cassettes/` folder first, then those that travel with streamkit."""

from __future__ import annotations

import difflib
import os
from functools import lru_cache
from pathlib import Path

from streamkit.cassettes.encoding import decoded
from streamkit.cassettes.format import load_cassette
from streamkit.errors import CassetteError, CassetteFormatError, CassetteNotFoundError, UsageError
from streamkit.transcript import Transcript

__all__ = ["RECORDED", "bundled", "bundled_folder", "everything", "find", "load", "names"]

#: The part of the bundled folder with what real servers sent, faults and all; it is taken only where it is asked for.
RECORDED = "recorded"
_SUFFIXES = (".yaml", ".yml")
_BODY_SUFFIXES = (".sse",)
_CONVERSATIONS = "conversations/"


def bundled_folder() -> Path:
    """Return the folder of the cassettes that travel with streamkit: inside the wheel, or beside a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "bundled_cassettes"
    if installed.is_dir():
        return installed
    checkout = package.parent / "cassettes"
    if checkout.is_dir():
        return checkout
    raise CassetteError(f"streamkit's own cassettes are missing: neither {installed} nor {checkout} is there")


def load(name: str | Path, *, folder: str | Path | None = None) -> Transcript:
    """Return a transcript.

    Args:
        name: a name such as "openai_chat/boston_weather"; a name with "#2" for the second interaction of a cassette;
            or the path of a cassette (.yaml) or of a bare body (.sse).
        folder: a project's own cassette folder; where None the one that the environment variable STREAMKIT_CASSETTES
            names, else `cassettes` in the current directory.

    Raises:
        CassetteNotFoundError: nothing has that name; the nearest names are given.
        CassetteFormatError: the file is broken or newer than this streamkit; path, line and reason are given.
        UsageError: the cassette has no such interaction, or several and none was chosen.
    """
    text = str(name)
    stem, mark, number = text.rpartition("#")
    if mark and number.isdigit() and not Path(text).exists():
        path, known = _locate(stem, folder), stem
    else:
        path, known, number = _locate(text, folder), text, ""
    if path.suffix in _BODY_SUFFIXES:
        return _bare(path, known)
    transcripts = load_cassette(path, name=known).transcripts
    if not number and len(transcripts) != 1:
        raise UsageError(
            f"{known} holds {_counted(len(transcripts))}"
            + (f": name one of them, {known}#1 to {known}#{len(transcripts)}" if transcripts else "")
        )
    position = int(number or 1)
    if not 1 <= position <= len(transcripts):
        raise UsageError(f"{known} holds {_counted(len(transcripts))}: there is no #{position}")
    return decoded(transcripts[position - 1].renamed(text))


def _counted(number: int) -> str:
    return f"{number} interaction" + ("" if number == 1 else "s")


def find(name: str, *, folder: str | Path | None = None) -> Path:
    """Return the path of a cassette; arguments and errors as for `load`."""
    return _locate(name, folder)


def names(*, folder: str | Path | None = None) -> list[str]:
    """Return all names that `load` knows, the project's own and the bundled ones, sorted."""
    return sorted({*_names_in(_project_folder(folder)), *_names_in(bundled_folder())})


def bundled() -> list[Transcript]:
    """Return the transcripts that a run takes where none are named, in the order of their names, recorded ones first.

    They are small and whole answers, a few of each dialect. `streamkit.library` gives all that travel with streamkit:
    beside these the recordings of servers in `recorded/`, among them answers that are broken off.

    Without those of `conversations/`, too: they are there to be replayed to a program, round after round, and what
    there is to be tried on their bytes, the others have too.
    """
    return list(_bundled(bundled_folder()))


@lru_cache(maxsize=4)
def _bundled(folder: Path) -> tuple[Transcript, ...]:
    left_out = (f"{RECORDED}/", _CONVERSATIONS)
    listed = [one for one in everything(folder) if not one.name.startswith(left_out)]
    return tuple(sorted(listed, key=lambda transcript: (transcript.synthetic, transcript.name)))


def everything(folder: Path) -> list[Transcript]:
    """Return every transcript below a folder, in the order of the names of the files; of several in one by number."""
    found: list[Transcript] = []
    for name in _names_in(folder):
        held = load_cassette(_file(folder, name), name=name).transcripts
        found += [one.renamed(f"{name}#{number}") for number, one in enumerate(held, 1)] if len(held) > 1 else held
    return found


def _project_folder(folder: str | Path | None) -> Path:
    return Path(folder if folder is not None else os.environ.get("STREAMKIT_CASSETTES") or "cassettes")


def _names_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.rglob("*")
        if path.suffix in (*_SUFFIXES, *_BODY_SUFFIXES) and path.is_file()
    )


def _file(folder: Path, name: str) -> Path:
    for suffix in (*_SUFFIXES, *_BODY_SUFFIXES):
        path = folder / (name + suffix)
        if path.is_file():
            return path
    raise CassetteNotFoundError(name)


def _locate(name: str, folder: str | Path | None) -> Path:
    path = Path(name)
    if path.suffix in (*_SUFFIXES, *_BODY_SUFFIXES):
        for file in (path, _project_folder(folder) / path):
            if file.is_file():
                return file
        if path.parent.is_dir():
            siblings = [str(p) for p in path.parent.iterdir() if p.suffix == path.suffix and p.is_file()]
            near = difflib.get_close_matches(name, siblings, 3)
            raise CassetteNotFoundError(name, nearest=near, searched=[str(path.parent)])
        raise CassetteNotFoundError(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{name!r} is no transcript name: names are like 'openai_chat/boston_weather'")
    folders = [_project_folder(folder), bundled_folder()]
    if folders[0].resolve() == folders[1]:
        del folders[0]  # in a checkout of streamkit itself
    for root in folders:
        try:
            return _file(root, name)
        except CassetteNotFoundError:
            continue
    known = names(folder=folder)
    short = {other: other.rsplit("/", 1)[-1] for other in known}
    close = difflib.get_close_matches(name.rsplit("/", 1)[-1], sorted(set(short.values())), 3)
    near = [other for other in known if short[other] == name]
    near += [other for other in difflib.get_close_matches(name, known, 3) if other not in near]
    near += [other for other in known if short[other] in close and other not in near]
    raise CassetteNotFoundError(name, nearest=near[:3], searched=[str(root) for root in folders if root.is_dir()])


def _bare(path: Path, name: str) -> Transcript:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise CassetteFormatError(str(path), f"cannot be read: {error.strerror or error}") from error
    return Transcript(body=body, name=name, source=f"the file {path.name}, a bare body")
