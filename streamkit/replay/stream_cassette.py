"""vcrpy's cassette with streams in it: what is recorded in chunks is played in chunks.

Matching, filters, hooks and record modes are vcrpy's own. Added are: recordings that end after their request was
answered; redaction before anything is written; a file that is never half written, never recorded over when it is
broken, and shared with other writers; a miss that explains itself; streams that are closed with their cassette.
"""

from __future__ import annotations

import copy
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vcr.cassette import Cassette as VCRCassette
from vcr.errors import UnhandledHTTPRequestError
from vcr.serializers import yamlserializer

from streamkit.cassettes import files
from streamkit.cassettes.format import Cassette, parse
from streamkit.errors import StreamkitError, UnmatchedRequestError, UsageError
from streamkit.replay import conversion
from streamkit.replay.delivery import Delivery, is_over
from streamkit.replay.interception import patches
from streamkit.replay.matching import miss
from streamkit.replay.persister import Persister, Settings
from streamkit.replay.recording import Recording
from streamkit.replay.rendered import Rendered
from streamkit.transcript import Ending, Interaction, Transcript

__all__ = ["StreamCassette", "Undrained"]


@dataclass(frozen=True)
class Undrained:
    """A stream that was neither read to its end nor closed when its cassette was.

    Attributes:
        method: of its request.
        url: of its request, after redaction.
        size: bytes that had come.
        recorded: whether it was being recorded, or replayed.
    """

    method: str
    url: str
    size: int
    recorded: bool

    def __str__(self) -> str:
        doing = "recorded" if self.recorded else "replayed"
        return f"{self.method} {self.url} was left open after {self.size} {doing} bytes"


class StreamCassette(VCRCassette):  # type: ignore[misc]  # vcrpy ships no types
    """A cassette that records and replays chunks.

    Attributes:
        misses: the requests that nothing answered.
        undrained: the streams that were left open.
        saved: the interactions that were recorded and written, as transcripts.
        failure: why it could not be written, where it could not.
        discard: set it, and what was recorded is not written.
    """

    # vcrpy's own, which its missing types leave unknown.
    custom_patches: tuple[Any, ...]
    data: list[Any]
    dirty: bool
    play_counts: dict[int, int]
    _loaded_count: int

    def __init__(self, *, settings: Settings, **config: Any) -> None:
        self.settings = settings
        self.misses: list[UnmatchedRequestError] = []
        self.undrained: list[Undrained] = []
        self.saved: tuple[Transcript, ...] = ()
        self.failure: Exception | None = None
        self.discard = False
        self._opened = False
        self._guard = threading.RLock()
        self._entries: list[_Entry] = []
        self._abandoned: list[Recording] = []
        self._rendered = Rendered(settings.redactor)
        self._left_out: list[StreamkitError] = []
        self._written = 0  # how many interactions at the end of the file are ours
        self._playing: list[_Playing] = []
        if config.get("persister") is None:
            config["persister"] = Persister(settings)
        super().__init__(**config)
        if settings.patched:
            self.custom_patches = (*self.custom_patches, *patches(self))
        if settings.redactor is not None:
            self._before_save_interaction.append(self._redacted)

    # -- recording

    def reserve(self, request: Any) -> Recording | None:
        """Return a recording for a request that is about to be sent, or None if a filter leaves it out.

        Interactions are kept in the order of their requests, whenever their responses end.
        """
        kept = self._before_record_request(request)
        if not kept:
            return None
        with self._guard:
            entry = _Entry(kept, Recording(self._ended))
            self._entries.append(entry)
        return entry.recording

    def append(self, request: Any, response: dict[str, Any]) -> None:
        """Take an interaction that is complete: one that was loaded, or of a client that only vcrpy adapts."""
        if not self._opened:
            super().append(request, response)  # while loading
            return
        kept = self._before_record_request(request)
        if not kept:
            return
        entry = _Entry(kept, None, self._before_record_response(copy.deepcopy(response)))
        with self._guard:
            self._entries.append(entry)
            self._gather()

    def _ended(self, recording: Recording) -> None:
        with self._guard:
            entry = next(entry for entry in self._entries if entry.recording is recording)
            if recording.transcript is None:
                self._entries.remove(entry)
                return
            entry.response = self._before_record_response(conversion.vcr_response(recording.transcript))
            self._gather()

    def _gather(self) -> None:
        """Let vcrpy see what is recorded so far: in order, and not to be played in its turn."""
        recorded = [(entry.request, entry.response) for entry in self._entries if entry.response is not None]
        self.data[self._loaded_count :] = recorded
        for number in range(self._loaded_count, len(self.data)):
            self.play_counts[number] = max(1, self.play_counts[number])
        self.dirty = self.dirty or bool(recorded)

    # -- replay

    def can_play_response_for(self, request: Any) -> bool:
        """Whether a recorded interaction answers a request.

        Raises:
            UnmatchedRequestError: none does, and it may not be recorded.
        """
        with self._guard:
            if super().can_play_response_for(request):
                return True
            if self.write_protected and self.filter_request(request):
                raise self._missed(request)
            return False

    def play_response(self, request: Any) -> dict[str, Any]:
        """Return vcrpy's response for a request and count it as played."""
        with self._guard:
            try:
                response: dict[str, Any] = super().play_response(request)
            except UnhandledHTTPRequestError:  # another thread was faster
                raise self._missed(request) from None
        return response

    def deliver(self, request: Any, response: dict[str, Any] | None = None) -> Delivery:
        """Return what to hand over for a request.

        Args:
            request: vcrpy's request.
            response: vcrpy's response; the next that matches where None.
        """
        transcript = conversion.transcript(self.play_response(request) if response is None else response)
        kept = self._before_record_request(request) or request
        playing = _Playing(self._playing, str(kept.method), str(kept.uri))
        return Delivery(
            transcript.head,
            [chunk.data for chunk in transcript.chunks],
            transcript.ending,
            times=transcript.times,
            error=transcript.error,
            missing=transcript.missing,
            over=transcript.ending is Ending.CLIENT_CLOSED and is_over(transcript),
            pace=self.settings.pace,
            wire=True,
            watch=playing,
        )

    @property
    def unplayed(self) -> list[tuple[int, str]]:
        """The interactions of the file that were not played, as 1-based number and "METHOD URL"."""
        return [
            (number + 1, f"{request.method} {request.uri}")
            for number, (request, _) in enumerate(self.data[: self._loaded_count])
            if not self.play_counts[number]
        ]

    @property
    def loaded(self) -> int:
        """How many interactions the file held."""
        return int(self._loaded_count)

    @property
    def recorded(self) -> tuple[Transcript, ...]:
        """The transcripts that were recorded so far, in the order of their requests."""
        with self._guard:
            return tuple(e.recording.transcript for e in self._entries if e.recording and e.recording.transcript)

    @property
    def played(self) -> tuple[int, ...]:
        """The 1-based numbers of the interactions of the file that were played."""
        return tuple(number + 1 for number in range(self._loaded_count) if self.play_counts[number])

    def _missed(self, request: Any) -> UnmatchedRequestError:
        kept = self._before_record_request(request) or request
        recorded = [(other, bool(self.play_counts[number])) for number, (other, _) in enumerate(self.data)]
        error = miss(
            kept,
            recorded,
            self._match_on,
            path=str(self._path),
            exists=Path(self._path).exists(),
            mode=self.settings.mode,
            how=self.settings.how,
        )
        self.misses.append(error)
        return error

    # -- the file

    def _load(self) -> None:
        super()._load()
        self._opened = True

    def close_streams(self) -> None:
        """Close what is still open; it is listed in `undrained`."""
        with self._guard:
            for entry in list(self._entries):
                if entry.recording is not None and entry.recording.open:
                    left = Undrained(str(entry.request.method), str(entry.request.uri), entry.recording.size, True)
                    entry.recording.stop(Ending.CLIENT_CLOSED)
                    if entry.recording.transcript is not None:
                        self.undrained.append(left)
                        self._abandoned.append(entry.recording)
            self.undrained.extend(playing.left() for playing in list(self._playing))
            self._playing.clear()
        for recording in self._abandoned:
            if recording.abandon is not None:
                with suppress(Exception):  # it is given up in any case
                    recording.abandon()

    async def aclose_streams(self) -> None:
        """Close what is still open, also what only a coroutine can close."""
        self.close_streams()
        for recording in self._abandoned:
            if recording.aabandon is not None:
                with suppress(Exception):
                    await recording.aabandon()

    def finish(self) -> None:
        """Close what is open and write the file.

        Raises:
            CassetteError: it cannot be written.
        """
        self._save()
        if self.failure is not None:
            raise self.failure

    def save_ended(self) -> None:
        """Write what has ended so far; what is under way stays open, and is written when it has ended.

        May be called from another thread than those that record; they are not held up while the file is written.

        Raises:
            CassetteError: it cannot be written, or the others were written and one cannot be.
        """
        with files.writer_lock(Path(self._path)):
            with self._guard:
                self._take_in()
                again = self.record_mode == type(self.record_mode).ALL
                pairs = self._rerecorded_interactions() if again else list(self.data)
                recorded, saved, self.dirty = len(self.data) - self._loaded_count, self.recorded, False
            try:
                if self._is_plain and isinstance(self._persister, Persister):
                    self._persister.write(self._path, self._rendered.file_bytes(pairs, new=recorded))
                else:
                    self._persist({"requests": [one for one, _ in pairs], "responses": [other for _, other in pairs]})
            except BaseException:
                self.dirty = True
                raise
            known, self._left_out = self._left_out, self._rendered.failed
            self._written, self.saved = recorded - len(self._left_out), saved
        if len(self._left_out) > len(known):
            self.failure = self._left_out[-1]  # the caller hears of it at the end, too
            raise self.failure

    @property
    def _is_plain(self) -> bool:
        """Whether the file is as we write it, with no hook, serializer or metadata of the caller's own."""
        hooks = [] if self.settings.redactor is None else [self._redacted]
        return self._serializer is yamlserializer and not self._metadata and self._before_save_interaction == hooks

    def _save(self, force: bool = False) -> None:
        """Write the file if there is something new. What goes wrong is kept: vcrpy has patches to undo first."""
        try:
            self.close_streams()
            if self.discard or not (force or self.dirty or self.drop_unused_requests):
                return
            with files.writer_lock(Path(self._path)):
                with self._guard:
                    self._take_in()
                super()._save(force)
                self._written, self.saved = len(self.data) - self._loaded_count, self.recorded
        except (StreamkitError, OSError) as error:
            self.failure = error

    def _take_in(self) -> None:
        """Take in what another writer has written since the file was read, so that nothing is lost."""
        persister, path = self._persister, Path(self._path)
        if not isinstance(persister, Persister) or not path.exists():
            return
        mine = persister.raw is not None or not self.settings.start_over or persister.is_of_this_session(path)
        raw = files.read_file(path)
        if raw == persister.raw or not mine:
            return
        requests, responses = conversion.vcr_interactions(self._of_others(parse(raw, path=str(path))))
        self.data[: self._loaded_count] = zip(requests, responses, strict=True)
        self._loaded_count = len(requests)
        self._old_interactions = list(zip(requests, responses, strict=True))
        self._gather()

    def _of_others(self, found: Cassette) -> Cassette:
        """Return a cassette without what we have written into it before: that is written again, in its place."""
        raw = getattr(self._persister, "raw", None)
        if not self._written or raw is None:
            return found
        left = [_unnamed(one) for one in found.interactions]
        for one in parse(raw, path=str(self._path)).interactions[-self._written :]:
            if _unnamed(one) in left:
                left.remove(_unnamed(one))
        return replace(found, interactions=tuple(left))

    def _redacted(self, request: Any, response: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        redactor = self.settings.redactor
        return (request, response) if redactor is None else conversion.redacted(redactor, request, response)


def _unnamed(one: Interaction) -> Interaction:
    """Return an interaction without its name, which tells its place in the file."""
    return replace(one, transcript=one.transcript.renamed(""))


class _Playing:
    """A response that is being replayed; it is in its cassette's list as long as it is open."""

    def __init__(self, among: list[_Playing], method: str, url: str) -> None:
        self._among = among
        self._request = (method, url)
        self._size = 0
        among.append(self)

    def take(self, chunk: bytes) -> None:
        if self not in self._among:
            raise UsageError("this stream was still open when its cassette was closed: read or close it within")
        self._size += len(chunk)

    def finished(self) -> None:
        if self in self._among:
            self._among.remove(self)

    def left(self) -> Undrained:
        """Return what it is when its cassette is closed."""
        return Undrained(*self._request, self._size, recorded=False)


@dataclass(eq=False)
class _Entry:
    """A recorded interaction: its request, and what comes of it."""

    request: Any
    recording: Recording | None
    response: dict[str, Any] | None = None
