"""Case: one delivery of a transcript, and the token that repeats it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from streamkit.errors import TokenError, UsageError
from streamkit.transcript import Transcript  # noqa: TC001 - Hypothesis reads the annotations of a Case
from streamkit.wire.fragmentation import Fragmentation

__all__ = ["Case", "Token"]

_TOKEN = re.compile(r"sk1:([^@:\s]*)@([0-9a-f]{12}):([0-9,-]+|whole)")


@dataclass(frozen=True, slots=True)
class Token:
    """The text that names a case: `sk1:NAME@DIGEST:CUTS`.

    Attributes:
        name: the transcript's name or path; "" for one that was made in code.
        digest: the first 12 hex digits of the SHA-256 of its body.
        fragmentation: the cuts.
    """

    name: str
    digest: str
    fragmentation: Fragmentation

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token.

        Raises:
            TokenError: the text is none.
        """
        match = _TOKEN.fullmatch(text.strip())
        if match is None:
            raise TokenError(
                f"{text.strip()[:60]!r} is no case token: "
                "one looks like sk1:openai_chat/boston_weather@bc7d72dd69d9:99,100"
            )
        try:
            fragmentation = Fragmentation.parse(match.group(3))
        except UsageError as error:
            raise TokenError(f"no case token: {error}") from None
        return cls(unquote(match.group(1)), match.group(2), fragmentation)

    def case(self, transcript: Transcript) -> Case:
        """Return the case that this token names.

        Raises:
            TokenError: the transcript is another one, or has changed since the token was made.
        """
        if not transcript.sha256.startswith(self.digest):
            raise TokenError(
                f"the token is of another transcript: {self.name or '(unnamed)'} with a body of SHA-256 "
                f"{self.digest}..., and {transcript.name or 'this one'} has {transcript.sha256[:12]}..."
            )
        if self.fragmentation.cuts and self.fragmentation.cuts[-1] > len(transcript.body):
            raise TokenError(f"the token cuts at {self.fragmentation.cuts[-1]}, beyond {len(transcript.body)} bytes")
        return Case(transcript, self.fragmentation)

    def __str__(self) -> str:
        return f"sk1:{quote(self.name, safe='/#.')}@{self.digest}:{self.fragmentation}"


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """One delivery: a transcript in chunks.

    Attributes:
        transcript: what is delivered.
        fragmentation: where it is cut.
    """

    transcript: Transcript
    fragmentation: Fragmentation

    def chunks(self) -> list[bytes]:
        """Return the chunks of the delivery."""
        return self.fragmentation.chunks(self.transcript.body)

    @property
    def token(self) -> Token:
        """The token that repeats this case."""
        return Token(self.transcript.name, self.transcript.sha256[:12], self.fragmentation)

    def __repr__(self) -> str:
        return f"<Case {self.token}>"
