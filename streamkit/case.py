"""Case: one delivery of a transcript, mutated and cut, and the token that repeats it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from streamkit.errors import TokenError, UsageError
from streamkit.mutations.registry import Inapplicable, Step
from streamkit.mutations.stream import Stream, replace_body
from streamkit.transcript import Transcript  # noqa: TC001 - Hypothesis reads the annotations of a Case
from streamkit.wire.fragmentation import Fragmentation

__all__ = ["Case", "Token", "mutated"]

_TOKEN = re.compile(
    r"sk1:([^@:\s]*)@([0-9a-f]{12}):([0-9,-]+|whole)(?::([\w.]+(?:\([\d,]+\))?(?:\+[\w.]+(?:\([\d,]+\))?)*))?"
)


@lru_cache(maxsize=8)  # a body may have a megabyte
def mutated(transcript: Transcript, steps: tuple[Step, ...]) -> Transcript:
    """Return a transcript after mutations, one after the other.

    Raises:
        Inapplicable: one of them has nothing to do there.
    """
    if not steps:
        return transcript
    from streamkit import dialects

    dialect = dialects.detect(transcript)
    stream = Stream.of(transcript, dialect.name if dialect is not None else None)
    for step in steps:
        stream = step.apply(stream).stream
    return replace_body(transcript, stream.body())


@dataclass(frozen=True, slots=True)
class Token:
    """The text that names a case: `sk1:NAME@DIGEST:CUTS`, with `:MUTATION+MUTATION` where the stream was mutated.

    Attributes:
        name: the transcript's name or path; "" for one that was made in code.
        digest: the first 12 hex digits of the SHA-256 of its body, before any mutation.
        fragmentation: the cuts, in the mutated body.
        steps: the mutations.
    """

    name: str
    digest: str
    fragmentation: Fragmentation
    steps: tuple[Step, ...] = ()

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
            steps = tuple(Step.parse(step) for step in match.group(4).split("+")) if match.group(4) else ()
        except UsageError as error:
            raise TokenError(f"no case token: {error}") from None
        return cls(unquote(match.group(1)), match.group(2), fragmentation, steps)

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
        try:
            body = mutated(transcript, self.steps).body
        except Inapplicable as error:
            raise TokenError(f"the token's mutations do not fit the transcript: {error}") from None
        if self.fragmentation.cuts and self.fragmentation.cuts[-1] > len(body):
            raise TokenError(f"the token cuts at {self.fragmentation.cuts[-1]}, beyond {len(body)} bytes")
        return Case(transcript, self.fragmentation, self.steps)

    def __str__(self) -> str:
        steps = ":" + "+".join(map(str, self.steps)) if self.steps else ""
        return f"sk1:{quote(self.name, safe='/#.')}@{self.digest}:{self.fragmentation}{steps}"


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """One delivery: a transcript, mutated, in chunks.

    Attributes:
        transcript: what is delivered, before any mutation.
        fragmentation: where it is cut, after them.
        steps: the mutations, one after the other.
    """

    transcript: Transcript
    fragmentation: Fragmentation
    steps: tuple[Step, ...] = ()

    @property
    def body(self) -> bytes:
        """The bytes that are delivered."""
        return mutated(self.transcript, self.steps).body

    def chunks(self) -> list[bytes]:
        """Return the chunks of the delivery."""
        return self.fragmentation.chunks(self.body)

    @property
    def token(self) -> Token:
        """The token that repeats this case."""
        return Token(self.transcript.name, self.transcript.sha256[:12], self.fragmentation, self.steps)

    def __repr__(self) -> str:
        return f"<Case {self.token}>"
