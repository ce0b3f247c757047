"""What streamkit adds to the settings of vcrpy's cassette, and the persister that reads and writes its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcr.persisters.filesystem import CassetteNotFoundError as VCRNotFoundError
from vcr.serializers import yamlserializer

from streamkit.cassettes import files
from streamkit.cassettes.format import parse
from streamkit.replay import conversion
from streamkit.replay.delivery import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.cassettes.redaction import Redactor

__all__ = ["Persister", "Settings"]


@dataclass
class Settings:
    """What streamkit adds to a cassette's settings.

    Attributes:
        redactor: removes secrets; None for no redaction.
        pace: when replayed chunks are handed over.
        start_over: forget what the file holds (record mode rewrite).
        since: the file counts as this session's own, to be added to, if it was changed after this time, in nanoseconds.
        mode: the record mode as the caller named it.
        how: what to write to record a request that is missing.
        report: called with the cassette when it is closed; it may warn.
        patched: whether the client libraries of this process are recorded; a proxy has none.
        own: "host:port" of servers of ours, whose requests are neither recorded nor replayed: they do that themselves.
    """

    redactor: Redactor | None = None
    pace: Pace = field(default_factory=Pace)
    start_over: bool = False
    since: int | None = None
    mode: str = "once"
    how: str = 'record_mode="new_episodes"'
    report: Callable[[Any], None] | None = None
    patched: bool = True
    own: set[str] = field(default_factory=set)


class Persister:
    """Reads and writes the file of one cassette, in vcrpy's terms."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.raw: bytes | None = None

    def load_cassette(self, cassette_path: Any, serializer: Any) -> tuple[Any, ...]:
        """Return vcrpy's requests and responses, and its metadata where there are any.

        Raises:
            CassetteNotFoundError: vcrpy's, if there is no file.
            CassetteFormatError: the file is broken; it is left as it is.
        """
        path = Path(cassette_path)
        if not path.exists():
            raise VCRNotFoundError
        raw = files.read_file(path)
        cassette = parse(raw, path=str(path))
        requests, responses = conversion.vcr_interactions(cassette)
        if self._settings.start_over and not self.is_of_this_session(path):
            raise VCRNotFoundError
        self.raw = raw
        return (requests, responses, cassette.metadata) if cassette.metadata else (requests, responses)

    def is_of_this_session(self, path: Path) -> bool:
        """Whether the file was written since the time in the settings."""
        since = self._settings.since
        return since is not None and path.exists() and path.stat().st_mtime_ns >= since

    def save_cassette(self, cassette_path: Any, cassette_dict: dict[str, Any], serializer: Any) -> None:
        """Write the file whole or not at all. The caller holds the writer's lock."""
        if serializer is yamlserializer:
            raw = conversion.file_bytes(cassette_dict)
        else:
            from vcr.serialize import serialize

            raw = serialize(cassette_dict, serializer).encode()
        self.write(cassette_path, raw)

    def write(self, cassette_path: Any, raw: bytes) -> None:
        """Write the bytes of the file whole or not at all. The caller holds the writer's lock."""
        files.write_atomic(Path(cassette_path), raw)
        self.raw = raw
