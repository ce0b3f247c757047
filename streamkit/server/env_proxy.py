"""The proxy that the environment names for the way upstream: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from streamkit.errors import UsageError

if TYPE_CHECKING:
    import ssl

__all__ = ["EnvProxy"]

_LOCAL = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class EnvProxy:
    """A proxy on the way upstream.

    Attributes:
        host: of the proxy.
        port: of the proxy.
        user: what it asks for, as "Basic ..."; "" for nothing.
        to: host and port of the upstream.
        tunnels: whether it hands on bytes (CONNECT, for https) or requests (for http).
    """

    host: str
    port: int
    user: str
    to: str
    tunnels: bool

    @classmethod
    def of(cls, scheme: str, host: str, port: int) -> EnvProxy | None:
        """Return the proxy that the environment names for an upstream; None for none. This computer needs none.

        Raises:
            UsageError: what the environment names cannot be used.
        """
        known = getproxies()
        named = known.get(scheme) or known.get("all")
        if not named or host in _LOCAL or proxy_bypass(host):
            return None
        try:
            parts = urlsplit(named if "://" in named else f"http://{named}")
            proxy_port = parts.port
        except ValueError:
            parts, proxy_port = urlsplit(""), None
        if parts.scheme != "http" or not parts.hostname:  # the text may hold a password
            raise UsageError(
                f"the environment names a proxy for {scheme} that cannot be used: it must be http://HOST:PORT, or "
                f"name {host} in NO_PROXY"
            )
        user = ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            user = f"Basic {base64.b64encode(pair.encode()).decode()}"
        shown = f"[{host}]" if ":" in host else host
        return cls(parts.hostname, proxy_port or 80, user, f"{shown}:{port}", scheme == "https")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What a request takes along that the proxy hands on."""
        return [("Proxy-Authorization", self.user)] if self.user and not self.tunnels else []

    async def open(
        self, context: ssl.SSLContext | None, host: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to the upstream, or to the proxy where that hands on requests.

        Args:
            context: for TLS within the tunnel.
            host: of the upstream, whose certificate is checked.

        Raises:
            OSError: the proxy cannot be reached, or refuses.
        """
        reader, writer = await asyncio.open_connection(self.host, self.port)
        if not self.tunnels:
            return reader, writer
        asked = [f"CONNECT {self.to} HTTP/1.1", f"Host: {self.to}"]
        if self.user:
            asked.append(f"Proxy-Authorization: {self.user}")
        writer.write("\r\n".join([*asked, "", ""]).encode("latin-1"))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = b""
        status = head.split(b"\r\n", 1)[0].split(b" ")
        if len(status) < 2 or not status[1].startswith(b"2"):
            writer.transport.abort()
            said = status[1].decode("latin-1") if len(status) > 1 else "no answer"
            raise ConnectionError(f"the proxy {self.host}:{self.port} opens no way to {self.to}: {said}")
        if context is not None:
            await writer.start_tls(context, server_hostname=host)
        return reader, writer
