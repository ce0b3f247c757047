"""Files of cassettes: read with a limit, written whole or not at all, one writer at a time, inside their folder.

A file is written beside its place under a name that no reader takes for a cassette, flushed to the disk, and then
renamed: whatever moment the process dies at, the old file or the new one is there, never a part. What dead writers left
behind is removed by the next.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from streamkit.errors import CassetteFormatError, CassetteLockedError, LimitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LARGEST", "file_name", "inside", "read_file", "write_atomic", "writer_lock"]

#: The largest file that is read, in bytes.
LARGEST = 256 * 1024 * 1024

_FIRST = 64 * 1024
_UNFIT = re.compile(r"[^A-Za-z0-9._+=,@()\[\]-]+")
_LONGEST_NAME = 120


def read_file(path: Path, *, limit: int = LARGEST) -> bytes:
    """Return the bytes of a file.

    Args:
        path: the file.
        limit: the most bytes that are read.

    Raises:
        CassetteFormatError: it cannot be read.
        LimitError: it is larger.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(min(limit + 1, _FIRST))  # room for the whole limit costs more than most files
            if len(raw) == _FIRST:
                raw += file.read(limit + 1 - _FIRST)
    except OSError as error:
        raise CassetteFormatError(str(path), f"cannot be read: {error.strerror or error}") from error
    if len(raw) > limit:
        raise LimitError(f"{path}: larger than {limit} bytes, which is no cassette", limit=limit)
    return raw


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; folders on the way are made.

    A symbolic link stays one: what it points to is replaced.

    Raises:
        CassetteFormatError: it cannot be written; what was there before is untouched.
    """
    path = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(_mode(path))
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
        _flush_folder(path.parent)
    except OSError as error:
        raise CassetteFormatError(str(path), f"cannot be written: {error.strerror or error}") from error


def _sweep(path: Path) -> None:
    """Remove what writers of this file left behind when they were killed; the caller is its only writer now."""
    for left in path.parent.glob(f".{_literal(path.name)}.*.part"):
        with suppress(OSError):
            left.unlink()


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _mode(path: Path) -> int:
    """Return the permissions that the file had, or that a new one gets."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return 0o644


def _flush_folder(folder: Path) -> None:
    """Let the rename reach the disk. Not every system can; then it has its own ways."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def writer_lock(path: Path, *, timeout: float = 30.0) -> Iterator[None]:
    """Hold a cassette against other writers, of this process and of others.

    The lock is a file in the system's folder for temporary files, so that nothing is left beside the cassette.

    Args:
        path: the cassette.
        timeout: seconds to wait for another writer.

    Raises:
        CassetteLockedError: another writer held it all the time.
    """
    from filelock import FileLock, Timeout

    real = os.path.realpath(path)
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"streamkit-locks{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(folder / f"{hashlib.sha256(real.encode()).hexdigest()[:32]}.lock", timeout=timeout)
    try:
        lock.acquire()
    except Timeout:
        raise CassetteLockedError(str(path), timeout) from None
    try:
        yield
    finally:
        lock.release()


def inside(folder: Path, name: str, *, suffix: str = ".yaml") -> Path:
    """Return the path of a name below a folder.

    Args:
        folder: the cassette folder.
        name: such as "weather" or "chat/weather"; the suffix may be written or not.
        suffix: what the file's name ends in.

    Raises:
        UsageError: the name is empty or leads out of the folder, by itself or through a link.
    """
    plain = Path(name)
    leads_out = plain.is_absolute() or plain.drive or ".." in plain.parts
    if not plain.name or "\0" in name or leads_out:
        raise UsageError(f"{name!r} is no cassette name: names are like 'weather' or 'chat/weather', below {folder}")
    path = folder / (name if name.endswith((suffix, ".yml")) else name + suffix)
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise UsageError(f"{name!r} leads out of the cassette folder {folder}, through a link")
    return path


def file_name(text: str) -> str:
    """Return a file name for a text, such as a test's id: the text itself where every system can have it.

    Otherwise what does not fit becomes "-", and a digest of the text keeps two texts from one name.
    """
    fit = _UNFIT.sub("-", text).strip(". ")[:_LONGEST_NAME]
    if text and fit == text:
        return fit
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{fit}-{digest}"
