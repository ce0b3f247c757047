"""Each client library makes one streaming POST, and tells what its caller saw: chunks, their times, and the end.

The same function runs without a cassette, while recording and on replay, so that the three can be compared.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import streamkit
from skhelpers.server import Answer, Seen, StreamServer, body, pieces

__all__ = [
    "ASYNC",
    "CLIENTS",
    "SYNC",
    "Call",
    "Outcome",
    "chat_server",
    "gated",
    "hands_on",
    "library_of",
    "recorded",
    "replayed",
]

BODY = body()
PIECES = pieces(BODY)
FACTS = {"Content-Type": "application/json", "X-Kind": "test"}


@dataclass
class Call:
    """How a client is used.

    Attributes:
        timeout: seconds that it waits for the next bytes.
        stop: chunks after which the caller breaks and closes; None to read on.
        seen: called after each chunk.
        content: the body of the request.
        headers: of the request.
        until: stop after the chunk in which this stands.
    """

    timeout: float = 5.0
    stop: int | None = None
    seen: Callable[[], object] = lambda: None
    content: bytes = b'{"model": "m", "stream": true}'
    headers: dict[str, str] = field(default_factory=lambda: dict(FACTS))
    until: bytes | None = None


@dataclass
class Outcome:
    """What the caller saw.

    Attributes:
        status: of the response; 0 if there was none.
        headers: of the response, in order.
        chunks: what came.
        at: `time.monotonic()` of each.
        error: the exception that ended it.
    """

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def kind(self) -> str:
        """The library and class of the exception, "" for none."""
        if self.error is None:
            return ""
        return f"{type(self.error).__module__.partition('.')[0]}.{type(self.error).__qualname__}"

    def head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.status, self.headers = status, list(headers)

    def add(self, chunk: bytes, call: Call) -> bool:
        """Note a chunk; return whether the caller stops here."""
        self.at.append(time.monotonic())
        self.chunks.append(chunk)
        call.seen()
        return len(self.chunks) == call.stop or (call.until is not None and call.until in chunk)


def _drain(outcome: Outcome, call: Call, chunks: Iterator[bytes]) -> None:
    for chunk in chunks:
        if chunk and outcome.add(chunk, call):
            return


async def _adrain(outcome: Outcome, call: Call, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        if chunk and outcome.add(chunk, call):
            return


def _httpx(name: str) -> Callable[[str, Call, Outcome], None]:
    def run(url: str, call: Call, outcome: Outcome) -> None:
        module = importlib.import_module(name)
        with (
            module.Client(timeout=call.timeout, trust_env=False) as client,
            client.stream("POST", url, content=call.content, headers=call.headers) as response,
        ):
            outcome.head(response.status_code, response.headers.multi_items())
            _drain(outcome, call, response.iter_raw())

    return run


def _async_httpx(name: str) -> Callable[[str, Call, Outcome], Coroutine[Any, Any, None]]:
    async def run(url: str, call: Call, outcome: Outcome) -> None:
        module = importlib.import_module(name)
        async with (
            module.AsyncClient(timeout=call.timeout, trust_env=False) as client,
            client.stream("POST", url, content=call.content, headers=call.headers) as response,
        ):
            outcome.head(response.status_code, response.headers.multi_items())
            await _adrain(outcome, call, response.aiter_raw())

    return run


def _requests(read: Callable[[Any], Iterator[bytes]]) -> Callable[[str, Call, Outcome], None]:
    def run(url: str, call: Call, outcome: Outcome) -> None:
        import requests

        with (
            requests.Session() as session,
            session.post(url, data=call.content, headers=call.headers, stream=True, timeout=call.timeout) as response,
        ):
            outcome.head(response.status_code, response.raw.headers.items())
            _drain(outcome, call, read(response))

    return run


def _urllib3(read: Callable[[Any], Iterator[bytes]]) -> Callable[[str, Call, Outcome], None]:
    def run(url: str, call: Call, outcome: Outcome) -> None:
        import urllib3

        options: dict[str, Any] = {"retries": False, "preload_content": False, "timeout": call.timeout}
        with urllib3.PoolManager() as pool:
            response = pool.request("POST", url, body=call.content, headers=call.headers, **options)
            try:
                outcome.head(response.status, response.headers.items())
                _drain(outcome, call, read(response))
            finally:
                response.close()

    return run


def _reads(response: Any) -> Iterator[bytes]:
    """What arrives, as it arrives, of http.client."""
    while data := response.read1(65536):
        yield data


def _urllib_request(url: str, call: Call, outcome: Outcome) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    sent = urllib.request.Request(url, call.content, call.headers)  # noqa: S310 - loopback
    with opener.open(sent, timeout=call.timeout) as response:
        outcome.head(response.status, response.headers.items())
        _drain(outcome, call, _reads(response))


def _http_client(url: str, call: Call, outcome: Outcome) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=call.timeout)
    try:
        connection.request("POST", parts.path or "/", body=call.content, headers=call.headers)
        with connection.getresponse() as response:
            outcome.head(response.status, response.getheaders())
            _drain(outcome, call, _reads(response))
    finally:
        connection.close()


def _aiohttp(read: Callable[[Any], AsyncIterator[bytes]]) -> Callable[[str, Call, Outcome], Coroutine[Any, Any, None]]:
    async def run(url: str, call: Call, outcome: Outcome) -> None:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_read=call.timeout)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=call.content, headers=call.headers) as response,
        ):
            outcome.head(response.status, response.headers.items())
            await _adrain(outcome, call, read(response))

    return run


async def _http_chunks(response: Any) -> AsyncIterator[bytes]:
    async for data, _ in response.content.iter_chunks():
        yield data


def _installed(*names: str) -> list[str]:
    return [name for name in names if find_spec(name) is not None]


#: Each async client: a coroutine function of URL, call and outcome.
ASYNC: dict[str, Callable[[str, Call, Outcome], Coroutine[Any, Any, None]]] = {
    **{f"{name}-async": _async_httpx(name) for name in _installed("httpx", "httpx2")},
    "aiohttp": _aiohttp(lambda response: response.content.iter_any()),
    "aiohttp-chunks": _aiohttp(_http_chunks),
}

#: Each sync client: a function of URL, call and outcome.
SYNC: dict[str, Callable[[str, Call, Outcome], None]] = {
    **{name: _httpx(name) for name in _installed("httpx", "httpx2")},
    "requests": _requests(lambda response: response.iter_content(None)),
    "requests-raw": _requests(lambda response: response.raw.stream()),
    "urllib3": _urllib3(lambda response: response.stream()),
    "urllib3-chunked": _urllib3(lambda r: r.read_chunked() if r.chunked else r.stream()),
    "urllib.request": _urllib_request,
    "http.client": _http_client,
}


def _client(name: str) -> Callable[[str, Call | None], Outcome]:
    def run(url: str, call: Call | None = None) -> Outcome:
        outcome, call = Outcome(), call or Call()
        try:
            if name in ASYNC:
                asyncio.run(ASYNC[name](url, call, outcome))
            else:
                SYNC[name](url, call, outcome)
        except Exception as error:  # noqa: BLE001 - it is what the caller sees, and is looked at
            outcome.error = error
        return outcome

    return run


#: Each client: run it with a URL and a Call, and get an Outcome.
CLIENTS: dict[str, Callable[..., Outcome]] = {name: _client(name) for name in [*SYNC, *ASYNC]}


def library_of(client: str) -> str:
    """Return the library that a client stands for."""
    return client.partition("-")[0]


def hands_on(client: str, answer: Answer) -> bool:
    """Whether a client hands on each piece as it comes: urllib3 fills its buffer first where HTTP has no chunks."""
    return answer.framing == "chunked" or library_of(client) not in ("urllib3", "requests")


def gated(client: str, answer: Answer, call: Call | None = None) -> tuple[Answer, Call]:
    """Return the two so that the server sends a piece only when the client has seen the one before.

    Nothing is merged then, and a client that waits for more than a chunk before it hands one on waits for ever.
    """
    if not hands_on(client, answer):
        return answer, call or Call()
    seen = threading.Semaphore(0)

    def before(number: int) -> None:
        if number and not seen.acquire(timeout=5):
            raise ConnectionAbortedError(f"piece {number} has not reached the client")

    return replace(answer, before=before), replace(call or Call(), seen=seen.release)


def let_go(call: Call) -> None:
    """Let a server whose caller has stopped send the rest."""
    for _ in PIECES:
        call.seen()


@contextmanager
def chat_server(*answers: Answer | Callable[[Seen], Answer]) -> Iterator[StreamServer]:
    """A server of the chat stream in its seven pieces, or of other answers."""
    with StreamServer(*(answers or (Answer(PIECES),))) as server:
        yield server


def recorded(client: str, path: object, answer: Answer, call: Call | None = None) -> tuple[Outcome, str]:
    """Record one answer with a client; return what it saw, and the URL. The server is closed."""
    ready, paced = gated(client, answer, call)
    with chat_server(ready) as server:
        url = f"{server.url}/v1/chat"
        with streamkit.use_cassette(path):
            outcome = CLIENTS[client](url, paced)
        let_go(paced)
        return outcome, url


def replayed(client: str, path: object, url: str, call: Call | None = None, **options: Any) -> Outcome:
    """Replay one answer with a client; return what it saw."""
    with streamkit.use_cassette(path, record_mode="none", **options):
        return CLIENTS[client](url, call)
