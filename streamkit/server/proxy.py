"""A proxy that records: clients in any language point their base URL at it, and what they get is kept in a cassette.

It is the in-process recording with another end: the same cassette, record modes, redaction and matching, and no client
library is touched.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from streamkit.errors import CassetteNotFoundError, UsageError
from streamkit.replay.matching import MATCH_ON
from streamkit.replay.stream_cassette import StreamCassette
from streamkit.replay.use import cassette_path, use_cassette
from streamkit.server.answers import base_path
from streamkit.server.background import Background
from streamkit.server.proxying import Proxying
from streamkit.server.upstream import Additions, Patience, Upstream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from streamkit.cassettes.redaction import Redaction
    from streamkit.server.serving import Server

__all__ = ["RecordingProxy"]


class RecordingProxy(Background):
    """A proxy on loopback that hands on requests and answers unchanged, and records both.

    Args:
        upstream: the provider's URL, such as "https://api.openai.com".
        cassette: a name or path as for `streamkit.use_cassette`; or a cassette that is open, which is then neither
            written nor closed here.
        host: to listen on.
        port: 0 for one that is free.
        record_mode: as for `use_cassette`: "once" records if there is no cassette yet and replays if there is; "none"
            only replays; "new_episodes" replays what it can and records the rest; "all" records everything; "rewrite"
            begins anew.
        folder: the cassette folder, as for `use_cassette`.
        match_on: what of a request is compared.
        ignore_json: JSON paths of the body that may differ.
        repeats: whether an interaction may be replayed more than once.
        speed: of replay: 0 for at once, 1 for the recorded times.
        redaction: True for the default rules, a `Redaction` for further ones, False for none.
        key: an API key that is sent upstream in the place of the client's; it is neither logged nor recorded.
        headers: further headers that are sent upstream, and neither logged nor recorded. Where the upstream may send
            the value of one back, name that header in the `redaction` too: `Redaction(headers=("x-key",))`.
        patience: how long to wait for the upstream.
        context: of TLS to the upstream; where None one with the system's certificate authorities.
        log: is called with a mapping for each exchange, when it is over and written.

    Attributes:
        url: "http://127.0.0.1:40123"; "" before it listens.
        log: a mapping for each exchange that is over and written; the last ten thousand.
        cassette: the cassette.
        answers: how many requests were "recorded", "replayed", "unmatched", left without an answer by the upstream
            ("no_answer"), given up by the client before one came ("nothing"), or could not be read ("error").

    Raises:
        UsageError: an argument cannot be used; on entering, if the address cannot be listened on.
        CassetteError: the cassette is broken, cannot be written, or is not there and mode is "none"; on leaving, if it
            could not be written.
    """

    def __init__(
        self,
        upstream: str,
        cassette: str | Path | StreamCassette,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        record_mode: str = "once",
        folder: str | Path | None = None,
        match_on: Sequence[str] = MATCH_ON,
        ignore_json: Sequence[str] = (),
        repeats: bool = False,
        speed: float | None = None,
        redaction: Redaction | bool = True,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        context: ssl.SSLContext | None = None,
        log: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        super().__init__(host, port, log)
        self.answers: Counter[str] = Counter()
        additions = Additions(tuple((headers or {}).items()), key)
        self.upstream = Upstream(upstream, patience=patience, additions=additions, context=context)
        self._writes = not isinstance(cassette, StreamCassette)
        if isinstance(cassette, StreamCassette):
            self.cassette = cassette
        else:
            path = cassette_path(cassette, folder)
            _check(path, record_mode)
            self.cassette = use_cassette(
                path, record_mode=record_mode, match_on=match_on, ignore_json=ignore_json, speed=speed,
                redaction=redaction, allow_playback_repeats=repeats, how="streamkit record --record-mode new_episodes",
            ).unpatched()  # fmt: skip

    @property
    def records(self) -> bool:
        """Whether a request that the cassette does not answer goes upstream."""
        return not self.cassette.write_protected

    def base_url(self, dialect: str | None = "openai_chat") -> str:
        """Return what a client of an API takes as its base URL."""
        end = base_path(dialect)
        return self._here() + ("" if self.upstream.base.endswith(end or "/") else end)

    def start(self) -> Self:
        """Listen; return the proxy. See `Background`.

        Raises:
            UsageError: it is running already, the address cannot be listened on, or it is the upstream's own.
        """
        super().start()
        if f"{self.upstream.host}:{self.upstream.port}" in self._names():
            super().close()
            raise UsageError(f"the upstream {self.upstream} is the proxy itself: listen at another port")
        self.cassette.settings.own.update(self._names())
        return self

    def close(self, grace: float = 0.0) -> None:
        """Stop, and write what is not yet written; streams under way are recorded as far as they came.

        Raises:
            CassetteError: it cannot be written.
        """
        super().close(grace)
        self.cassette.settings.own.difference_update(self._names())
        if self._writes:
            self.cassette.finish()

    def _names(self) -> set[str]:
        parts = urlsplit(self.url)
        return {f"{host}:{parts.port}" for host in (parts.hostname, "localhost") if self.url}

    def _note(self, record: dict[str, Any]) -> None:
        self.answers[record["answer"]] += 1
        super()._note(record)

    def _server(self) -> Server:
        return Proxying(self.upstream, self.cassette, writes=self._writes, log=self._note)


def _check(path: Path, mode: str) -> None:
    """Raise now what would be found out when the first answer has come, and is lost."""
    if mode == "none":
        if not path.exists():
            raise CassetteNotFoundError(str(path))
        return
    if path.is_dir():
        raise UsageError(f"the cassette {path} is a folder: name a file in it")
    folder = next(one for one in (path.parent, *path.parent.absolute().parents) if one.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"the cassette {path} cannot be written: no permission in {folder}")
