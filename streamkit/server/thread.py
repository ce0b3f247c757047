"""The replay server for code that does not run on its event loop: a context manager that holds a thread."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from streamkit.case import Case
from streamkit.errors import UsageError
from streamkit.replay.network import reachable
from streamkit.server.answers import MATCH_ON, Answers, base_path, everything, gathered
from streamkit.server.how import How
from streamkit.server.offers import Offer, Offers, dialect_of
from streamkit.server.plan import Conduct, Planner
from streamkit.server.serving import Server
from streamkit.server.steer import case_path, split_case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from streamkit.mutations.registry import Class
    from streamkit.replay.delivery import Delivery
    from streamkit.server.connection import Limits
    from streamkit.transcript import Transcript

__all__ = ["ReplayServer"]

_KEPT = 10_000
_PATIENCE = 10.0  # seconds for a thread of ours to end


class ReplayServer:
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
        conduct = Conduct(How.of(how), seed, mutate, cors)
        served = gathered(transcripts, folder) if transcripts is not None else lambda: everything(folder)
        answers = Answers(served, match_on=match_on, ignore_json=ignore_json, repeats=repeats)
        self._offers = Offers()
        self._planner = Planner(answers, self._offers, conduct, folder=folder)
        self._address = (host, port)
        self._limits = limits
        self._listener = log
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._served = threading.Condition()
        self._done = 0
        self.log: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.url = ""

    def start(self) -> ReplayServer:
        """Listen; return the server."""
        if self._thread is not None:
            raise UsageError("the server is running already")
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True, name="streamkit-server")
        self._thread.start()
        ready.wait()
        failure: BaseException | None = self._failure  # set by the other thread
        if failure is not None:
            self._thread.join(_PATIENCE)
            self._thread = None
            raise failure
        return self

    def close(self, grace: float = 0.0) -> None:
        """Stop: connections are closed, after at most `grace` seconds for what is under way."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stop is None:
            return
        self._grace = grace
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(_PATIENCE + grace)

    def __enter__(self) -> ReplayServer:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    _grace = 0.0

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._main(ready))

    async def _main(self, ready: threading.Event) -> None:
        server = Server(self._planner, limits=self._limits, log=self._note)
        try:
            await server.start(*self._address)
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            self._failure = error
            ready.set()
            return
        self.url = server.url
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        with reachable(*server.address):
            await self._stop.wait()
            await server.stop(self._grace)

    def _note(self, record: dict[str, Any]) -> None:
        with self._served:
            self._done += 1
            self.log.append(record)
            self._served.notify_all()
        if self._listener is not None:
            self._listener(record)

    def wait_for(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Wait until that many requests are done, and return the log: a client may be done before its server is.

        Raises:
            TimeoutError: they are not, after `seconds`.
        """
        with self._served:
            if not self._served.wait_for(lambda: self._done >= count, seconds):
                raise TimeoutError(f"{self._done} of {count} requests were done after {seconds:g} seconds")
            return list(self.log)

    # -- URLs

    def base_url(self, dialect: str | None = "openai_chat") -> str:
        """Return what a client of an API takes as its base URL."""
        return self._here() + base_path(dialect)

    def case_url(self, what: str | Case | Transcript, how: How | str | None = None) -> str:
        """Return the base URL that steers a client to a case.

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

    def _here(self) -> str:
        if not self.url:
            raise UsageError("the server does not listen yet: use it in a with statement, or call start()")
        return self.url
