"""Replay: one transcript, cut in one way, for whichever client a test drives. It is the `replay` fixture of pytest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit.replay import clients
from streamkit.replay.httpx_transport import httpx_transport
from streamkit.replay.requests_adapter import requests_session

if TYPE_CHECKING:
    from types import ModuleType

    import openai as openai_module
    import requests

    from streamkit.replay.clock import Clock
    from streamkit.transcript import Transcript
    from streamkit.wire.fragmentation import Fragmentation

__all__ = ["Replay"]


@dataclass(frozen=True)
class Replay:
    """A transcript and where it is cut.

    Attributes:
        transcript: what is replayed.
        fragmentation: its chunks.
    """

    transcript: Transcript
    fragmentation: Fragmentation

    def chunks(self) -> list[bytes]:
        """Return the body in chunks."""
        return self.fragmentation.chunks(self.transcript.body)

    def openai(self, **options: Any) -> openai_module.OpenAI:
        """Return a real OpenAI client; see `streamkit.replay.openai`."""
        return clients.openai(self.transcript, self.fragmentation, **options)

    def async_openai(self, **options: Any) -> openai_module.AsyncOpenAI:
        """Return a real AsyncOpenAI client; see `streamkit.replay.async_openai`."""
        return clients.async_openai(self.transcript, self.fragmentation, **options)

    def httpx_transport(
        self, module: str | ModuleType = "httpx2", *, speed: float | None = None, clock: Clock | None = None
    ) -> Any:
        """Return a transport for clients of httpx or httpx2; see `streamkit.replay.httpx_transport`."""
        return httpx_transport(self.transcript, self.fragmentation, module=module, speed=speed, clock=clock)

    def requests_session(self, *, speed: float | None = None, clock: Clock | None = None) -> requests.Session:
        """Return a `requests.Session` that answers every request; see `streamkit.replay.requests_session`."""
        return requests_session(self.transcript, self.fragmentation, speed=speed, clock=clock)
