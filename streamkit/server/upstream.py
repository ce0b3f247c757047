"""The provider behind a recording proxy: where it is, a connection to it, and what can go wrong on the way."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streamkit.errors import UsageError
from streamkit.server.env_proxy import EnvProxy
from streamkit.server.passing import Part, Passing, request_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.server.connection import Received
    from streamkit.transcript import Headers

__all__ = ["Additions", "Link", "NoAnswer", "Patience", "Upstream"]

_READ = 65536
_PORTS = {"http": 80, "https": 443}
# What concerns one connection only (RFC 9110, 7.6.1). `Expect` was met when the body was read.
_HOP_BY_HOP = {
    "connection",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
}
_BEARER = "authorization"
# Header in which each API takes a key; OpenAI's form for all others.
_KEY_HEADERS = {"anthropic_messages": "x-api-key", "gemini": "x-goog-api-key"}
_CREDENTIALS = {"api-key", _BEARER, "x-api-key", "x-goog-api-key"}


@dataclass(frozen=True)
class NoAnswer:
    """Why the upstream gave no answer.

    Attributes:
        message: for people; it names the upstream.
        reason: one word: dns, refused, unreachable, tls, timeout, closed, reset or protocol.
        status: what the client gets: 502, or 504 where the time was over.
    """

    message: str
    reason: str
    status: int = 502


@dataclass(frozen=True)
class Patience:
    """How long to wait for an upstream.

    Attributes:
        connect: seconds for a connection, with TLS.
        read: seconds for an answer to begin, and for each further piece of it.
    """

    connect: float = 30.0
    read: float = 600.0


@dataclass(frozen=True)
class Additions:
    """What is added to each request that goes upstream; it is neither logged nor recorded.

    Attributes:
        headers: in the place of the client's of the same name.
        key: an API key, in the place of the client's: in the header in which the client sends its own, else in that of
            the API.
    """

    headers: Headers = ()
    key: str = ""

    def to(self, headers: Sequence[tuple[str, str]], dialect: str | None) -> list[tuple[str, str]]:
        """Return the headers of a request with what is added."""
        added = {name.lower(): (name, value) for name, value in self.headers}
        if self.key:
            own = [name for name, _ in headers if name.lower() in _CREDENTIALS]
            for name in own or [_KEY_HEADERS.get(dialect or "", "Authorization")]:
                added[name.lower()] = (name, f"Bearer {self.key}" if name.lower() == _BEARER else self.key)
        sent = [added.pop(name.lower(), (name, value)) for name, value in headers]
        return [*sent, *added.values()]


class Upstream:
    """A provider.

    Args:
        url: such as "https://api.openai.com"; where it has a path, that goes before the path of each request.
        patience: how long to wait for it.
        additions: what is added to each request.
        context: of TLS; where None one with the system's certificate authorities.

    Raises:
        UsageError: the URL cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        patience: Patience | None = None,
        additions: Additions | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._scheme, self.host, self.port, self._base = _parsed(url)
        self.patience = patience or Patience()
        self.additions = additions or Additions()
        self._context = context
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = shown if self.port == _PORTS[self._scheme] else f"{shown}:{self.port}"
        self.origin = f"{self._scheme}://{self.authority}"
        self._through = EnvProxy.of(self._scheme, self.host, self.port)

    def __str__(self) -> str:
        return self.origin + self._base

    @property
    def base(self) -> str:
        """The path that goes before that of each request; "" for none."""
        return self._base

    def url(self, target: str) -> str:
        """Return the URL that a request's target means."""
        return self.origin + self.path(target)

    def path(self, target: str) -> str:
        """Return a request's target at the upstream.

        Where the upstream's path ends as the target begins, that is not doubled: "https://host/api/v1" and
        "/v1/responses" give "/api/v1/responses".
        """
        steps = self._base.split("/")
        for count in range(len(steps) - 1, 0, -1):
            shared = "/" + "/".join(steps[-count:])
            if target == shared or target.startswith((f"{shared}/", f"{shared}?")):
                return self._base + target[len(shared) :]
        return self._base + target

    def headers(self, received: Received, dialect: str | None = None, *, added: bool = True) -> list[tuple[str, str]]:
        """Return the headers that a request goes upstream with.

        Args:
            received: as it came.
            dialect: of the API, as far as it is known.
            added: whether with what is to be added, which no recording may hold.
        """
        listed = {word.strip().lower() for word in (received.header("connection") or "").split(",")}
        dropped = (_HOP_BY_HOP | listed) - {"host"}
        if received.header("transfer-encoding") is not None:
            dropped.add("content-length")  # where both are there, it does not count (RFC 9112, 6.3)
        kept = [
            (name, self.authority if name.lower() == "host" else value)
            for name, value in received.headers
            if name.lower() not in dropped
        ]
        if received.header("host") is None:
            kept.insert(0, ("Host", self.authority))
        if "close" in listed:
            kept.append(("Connection", "close"))
        return self.additions.to(kept, dialect) if added else kept

    async def connect(self) -> Link | NoAnswer:
        """Return a connection, or why there is none."""
        try:
            async with asyncio.timeout(self.patience.connect):
                reader, writer = await self._opened()
        except OSError as error:  # also a TimeoutError, and those of TLS and of name resolution
            return self._unconnected(error)
        return Link(reader, writer, self)

    def _unconnected(self, error: OSError) -> NoAnswer:
        if isinstance(error, TimeoutError):
            text = f"{self.origin} took no connection within {self.patience.connect:g} seconds"
            return NoAnswer(text, "timeout", 504)
        if isinstance(error, socket.gaierror):
            return NoAnswer(f"the name {self.host} cannot be resolved: {error.strerror or error}", "dns")
        if isinstance(error, ssl.SSLError):
            why = getattr(error, "verify_message", "") or error.reason or str(error)
            return NoAnswer(f"no TLS with {self.origin}: {why}", "tls")
        if isinstance(error, ConnectionRefusedError):
            return NoAnswer(f"{self.origin} refuses the connection: is it running?", "refused")
        return NoAnswer(f"{self.origin} cannot be reached: {error.strerror or error}", "unreachable")

    def unanswered(self, error: Exception) -> NoAnswer:
        """Return why no answer came over a connection, from what was raised before its head was whole."""
        if isinstance(error, TimeoutError):
            return NoAnswer(f"{self.origin} gave no answer within {self.patience.read:g} seconds", "timeout", 504)
        if isinstance(error, OSError):
            return NoAnswer(f"{self.origin} broke the connection before it answered: {error}", "reset")
        if isinstance(error, EOFError):
            return NoAnswer(f"{self.origin} closed the connection before it answered", "closed")
        return NoAnswer(f"{self.origin} does not speak HTTP as it should: {error}", "protocol")

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = self._tls() if self._scheme == "https" else None
        if self._through is not None:
            return await self._through.open(context, self.host)
        return await asyncio.open_connection(
            self.host, self.port, ssl=context, server_hostname=self.host if context is not None else None, limit=_READ
        )

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context

    def written(self, received: Received, dialect: str | None) -> bytes:
        """Return the bytes of a request.

        Raises:
            h11.LocalProtocolError: HTTP does not allow it.
        """
        target = self.path(received.target)
        if self._through is not None and not self._through.tunnels:
            target = self.origin + target
        headers = self.headers(received, dialect)
        if self._through is not None:
            headers += self._through.headers
        return request_bytes(received.method, target, headers, received.body)


def _parsed(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and path of an upstream's URL."""
    form = f"upstream is {url!r}: write a URL such as https://api.openai.com"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(form) from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.hostname != parts.hostname.strip():
        raise UsageError(form if "://" in url else f"{form}, with its scheme")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError("upstream takes no user, query or fragment: give credentials as headers")  # may be secret
    try:
        host = parts.hostname.encode("idna").decode("ascii") if not parts.hostname.isascii() else parts.hostname
    except UnicodeError:
        raise UsageError(form) from None
    return parts.scheme, host, _PORTS[parts.scheme] if port is None else port, parts.path.rstrip("/")


class Link:
    """A connection to an upstream, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: Upstream) -> None:
        self._reader = reader
        self._writer = writer
        self._upstream = upstream
        self._passing: Passing | None = None
        self.used = False

    @property
    def usable(self) -> bool:
        """Whether it may be asked: it is new, or its last answer is over and it was not closed since."""
        if self._reader.at_eof() or self._writer.is_closing():
            return False
        return self._passing is None or self._passing.keep

    @property
    def asked(self) -> bool:
        """Whether a request was sent."""
        return self._passing is not None

    @property
    def passing(self) -> Passing:
        """The answer that is being read."""
        if self._passing is None:
            raise RuntimeError("nothing was asked")
        return self._passing

    def ask(self, received: Received, dialect: str | None) -> None:
        """Send a request. That it does not arrive is seen when the answer is read.

        Raises:
            h11.LocalProtocolError: HTTP does not allow it.
        """
        data = self._upstream.written(received, dialect)
        self.used = self._passing is not None
        self._passing = Passing(received.method)
        self._writer.write(data)

    async def read(self) -> Part:
        """Return what the next bytes of the answer bring.

        Raises:
            EOFError: the connection was closed before the head was whole.
            h11.RemoteProtocolError: this is no HTTP, or it ends before it is over.
            TimeoutError: nothing came for too long.
            OSError: the connection broke.
        """
        if self.passing.failure is not None:
            raise self.passing.failure
        seconds = self._upstream.patience.read
        try:
            async with asyncio.timeout(seconds):
                data = await self._reader.read(_READ)
        except TimeoutError:
            raise TimeoutError(f"nothing came for {seconds:g} seconds") from None
        if not data and not self.passing.begun:
            raise EOFError
        return self.passing.feed(data)

    def close(self) -> None:
        """Close it at once."""
        self._writer.transport.abort()
