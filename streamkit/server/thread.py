"""The replay server for code that does not run on its event loop: a context manager that holds a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.case import Case
from streamkit.errors import UsageError
from streamkit.server.answers import MATCH_ON, Answers, base_path, everything, gathered
from streamkit.server.background import Background
from streamkit.server.how import How
from streamkit.server.offers import Offer, Offers, dialect_of
from streamkit.server.plan import Conduct, Planner
from streamkit.server.serving import Replaying, Server
from streamkit.server.steer import case_path, split_case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from streamkit.mutations.registry import Class
    from streamkit.replay.delivery import Delivery
    from streamkit.server.connection import Limits
    from streamkit.transcript import Transcript

__all__ = ["ReplayServer"]


class ReplayServer(Background):
    """A server that answers as the recorded API, in exact pieces. Loopback unless told otherwise.

    A request is answered with the interaction that it matches, as in replay; or with the case that its base URL names
    (`case_url`); or with what code holds out (`offer`).

    Args:
        transcripts: transcripts, names, paths of cassettes, bodies or folders; None for all that can be named, which
            are read when the first request comes that names none of them.
        folder: the project's cassettes, for names; as in `streamkit.load`.
        host: to listen on.
        port: 0 for one that is free.
        how: the conduct on the wire; a `How` or its text, such as "speed=1".
        seed: cut each answer in another way, drawn with this seed.
        mutate: with a seed, also apply one drawn mutation of this class.
        match_on: what of a request is compared.
        ignore_json: JSON paths of the body that may differ.
        repeats: whether to begin again where all equal interactions were played.
        cors: let pages of other origins read the answers.
        limits: what one client may take.
        log: is called with a mapping for each request that is done, on the server's own thread.

    Attributes:
        url: "http://127.0.0.1:40123"; "" before it listens.
        log: a mapping for each request that is done; the last ten thousand.

    Raises:
        CassetteError: a transcript cannot be found or read.
        UsageError: an argument cannot be used; on entering, if the address cannot be listened on.
    """

    def __init__(
        self,
        transcripts: Transcript | str | Path | Sequence[Transcript | str | Path] | None = None,
        *,
        folder: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        how: How | str | None = None,
        seed: int | None = None,
        mutate: Class | None = None,
        match_on: Sequence[str] = MATCH_ON,
        ignore_json: Sequence[str] = (),
        repeats: bool = True,
        cors: bool = False,
        limits: Limits | None = None,
        log: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        if mutate is not None and seed is None:
            raise UsageError("mutate needs a seed: ReplayServer(seed=0, mutate=...)")
        super().__init__(host, port, log)
        conduct = Conduct(How.of(how), seed, mutate, cors)
        served = gathered(transcripts, folder) if transcripts is not None else lambda: everything(folder)
        answers = Answers(served, match_on=match_on, ignore_json=ignore_json, repeats=repeats)
        self._offers = Offers()
        self._planner = Planner(answers, self._offers, conduct, folder=folder)
        self._limits = limits

    def _server(self) -> Server:
        return Replaying(self._planner, limits=self._limits, log=self._note)

    # -- URLs

    def base_url(self, dialect: str | None = "openai_chat") -> str:
        """Return what a client of an API takes as its base URL."""
        return self._here() + base_path(dialect)

    def case_url(self, what: str | Case | Transcript, how: How | str | None = None) -> str:
        """Return the base URL that steers a client to a case. Its `first=` counts from here on, in each call anew.

        Args:
            what: a case, or a transcript, that can be named; a token; or a text such as "NAME;cuts=99;reset=300".
            how: conduct on the wire, beside what the text says.

        Raises:
            UsageError: the text cannot be read, or the transcript was made in code and has no name: `offer` it.
        """
        named = what.transcript if isinstance(what, Case) else what
        text = str(what.token) if isinstance(what, Case) else what if isinstance(what, str) else what.name
        if not (named if isinstance(named, str) else named.name):
            raise UsageError("this transcript has no name that a URL could hold: use server.offer(...).base_url")
        steering = split_case(text, self._planner.find)
        if how is not None and str(how):
            text += f";{how}"
            split_case(text, self._planner.find)
        dialect = dialect_of(steering.case.transcript) if steering.case is not None else "openai_chat"
        self._planner.count_anew(case_path(text))
        return self._here() + case_path(text) + base_path(dialect)

    def offer(
        self, what: Transcript | Case | Delivery, how: How | str | None = None, *, dialect: str | None = None
    ) -> Offer:
        """Hold out a delivery under a URL of its own, to any POST there.

        Args:
            what: a transcript, a case, or a Delivery made in code.
            how: its conduct on the wire; as the server's where None.
            dialect: whose base URL and endpoint to give; that of the transcript where None.
        """
        return self._offers.add(self._here(), what, How.of(how), dialect)
