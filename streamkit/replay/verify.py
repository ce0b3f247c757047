"""Verifying a cassette: its requests are sent again, recorded in a cassette beside it, and the answers compared.

The old cassette is never touched. What was redacted in it cannot be sent again: redacted headers are left out, and the
caller gives others; a request with a redacted URL parameter or body field is not sent at all unless the caller gives
its value. What the caller gives is redacted in the new recording wherever it occurs.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from streamkit.cassettes.drift import drift
from streamkit.cassettes.encoding import codings_of
from streamkit.cassettes.format import load_cassette
from streamkit.cassettes.redaction import Redaction, Redactor
from streamkit.errors import StreamkitError, UsageError
from streamkit.replay.resending import TOKEN, VALUE, planned
from streamkit.transcript import Ending, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streamkit.cassettes.drift import Drift
    from streamkit.replay.resending import Plan
    from streamkit.transcript import Interaction, Transcript

__all__ = ["FRESH", "Report", "Verified", "fresh_path", "verify"]

#: What the name of a fresh recording ends in.
FRESH = ".fresh.yaml"

# Streams that the old client gave up may have no end: so far beyond the old recording they are followed.
_BEYOND = 64 * 1024


@dataclass(frozen=True)
class Verified:
    """What came of one interaction.

    Attributes:
        number: which one of the cassette, from 1.
        method: of its request.
        url: of its request, without secrets, as recorded.
        findings: what differs from the old answer.
        problem: why there is nothing to compare: it could not be sent, or got no answer. "" otherwise.
        hints: what may help.
    """

    number: int
    method: str
    url: str
    findings: tuple[Drift, ...] = ()
    problem: str = ""
    hints: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        """One of "same", "new" (something was added), "drift" and "unreached"."""
        severities = {finding.severity for finding in self.findings}
        if self.problem:
            return "unreached"
        return "drift" if "drift" in severities else "new" if "new" in severities else "same"


@dataclass(frozen=True)
class Report:
    """What came of a cassette.

    Attributes:
        path: the cassette.
        fresh: the new recording; None where none was kept or no answer came.
        interactions: what came of each.
    """

    path: Path
    fresh: Path | None
    interactions: tuple[Verified, ...]

    def count(self, result: str) -> int:
        """Return how many interactions had a result, as in `Verified.result`."""
        return sum(one.result == result for one in self.interactions)

    def as_json(self) -> dict[str, Any]:
        """Return the report as a mapping."""
        return {
            "path": str(self.path),
            "fresh": None if self.fresh is None else str(self.fresh),
            "interactions": [
                {
                    "interaction": one.number,
                    "method": one.method,
                    "url": one.url,
                    "result": one.result,
                    "problem": one.problem,
                    "hints": list(one.hints),
                    "findings": [finding.as_json() for finding in one.findings],
                }
                for one in self.interactions
            ],
        }


def fresh_path(path: str | Path) -> Path:
    """Return where the fresh recording of a cassette goes: `chat.fresh.yaml` beside `chat.yaml`."""
    path = Path(path)
    return path.with_name(path.stem + FRESH)


def verify(
    path: str | Path,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    base_url: str | None = None,
    timeout: float = 60,
    redaction: Redaction | None = None,
    keep: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Record the requests of a cassette again, beside it, and say what has drifted.

    An old recording that was broken off is compared as far as it goes. Where its client had given up, the new stream
    is left too, once it is twice as long and 64 KiB longer.

    Args:
        path: the cassette.
        headers: sent with every request, instead of the recorded ones of those names: credentials above all.
        params: values for the URL parameters and body fields that were redacted, by their names; others are not used.
        base_url: send everything there instead: scheme, host and port, and a path to put before the recorded ones,
            which is not doubled where they begin with it already.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        redaction: what is secret beyond the default rules.
        keep: keep the new recording, `NAME.fresh.yaml` beside the cassette.
        progress: called with the number of requests done, and of all.

    Returns:
        What came of each interaction; an interaction that got no answer does not stop the others.

    Raises:
        UsageError: an argument cannot be used, or the cassette is itself a fresh recording.
        CassetteError: the cassette cannot be read, or the new one not written.
    """
    path = Path(path)
    if path.name.endswith(FRESH):
        raise UsageError(f"{path} is a fresh recording: name the cassette that it was made from")
    headers, params = dict(headers or {}), dict(params or {})
    _check(headers, base_url, timeout)
    interactions = load_cassette(path).interactions
    plans = [planned(interaction.request, headers, params, base_url) for interaction in interactions]
    rules = _rules(redaction, plans)
    redactor = Redactor(rules)
    for plan in plans:
        redactor.learn(plan.request)
    with tempfile.TemporaryDirectory(prefix="streamkit-verify-") as folder:
        target = fresh_path(path) if keep else Path(folder) / "fresh.yaml"
        answers = _record(target, interactions, plans, rules, timeout, progress or (lambda done, total: None))
        reached = any(not answer.problem for answer in answers)
        recorded = iter(load_cassette(target).transcripts if reached else ())
    found = []
    for number, (interaction, plan, answer) in enumerate(zip(interactions, plans, answers, strict=True), 1):
        request = redactor.request(interaction.request)
        one = Verified(number, request.method, request.url)
        if answer.problem:
            # an exception's text goes through the same net as a URL
            safe = redactor.request(Request("GET", answer.problem)).url
            found.append(replace(one, problem=safe, hints=plan.notes))
            continue
        old, now = _redacted(redactor, interaction.transcript), _with_coding(next(recorded), answer.coding)
        refused = now.head.status in (401, 403) and now.head.status != old.head.status
        hints = (*plan.hints, *plan.notes) if refused else plan.notes
        found.append(replace(one, findings=tuple(drift(old, now)), hints=hints))
    return Report(path, target if keep and reached else None, tuple(found))


def _redacted(redactor: Redactor, transcript: Transcript) -> Transcript:
    try:
        return redactor.transcript(transcript)
    except StreamkitError:  # a coding that cannot be read here: the heads alone are compared
        return transcript


def _with_coding(transcript: Transcript, coding: str) -> Transcript:
    """Return a recording with the coding that the answer came in: where it was redacted, it was stored decoded."""
    if not coding or codings_of(transcript):
        return transcript
    headers = (*transcript.head.headers, ("content-encoding", coding))
    return replace(transcript, head=replace(transcript.head, headers=headers))


def _check(headers: Mapping[str, str], base_url: str | None, timeout: float) -> None:
    for name, value in headers.items():
        if not TOKEN.fullmatch(name):
            raise UsageError(f"{name!r} is no header name")
        if not VALUE.fullmatch(value):
            raise UsageError(f"the value of the header {name} holds a line end or another sign that none may hold")
    if not timeout > 0:
        raise UsageError(f"timeout is {timeout}: a number of seconds above 0 is expected")
    if base_url is not None:
        try:
            parts = urlsplit(base_url)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            fits = False
        if not fits or parts.query or parts.fragment:
            raise UsageError("base_url is no address to send to: write one like 'http://127.0.0.1:8000'")


def _rules(redaction: Redaction | None, plans: list[Plan]) -> Redaction:
    """Return the rules of the new recording: what was secret in the old one, by whatever rule, is secret in it too."""
    fields = tuple(dict.fromkeys(name for plan in plans for name in plan.fields))
    rules = redaction if redaction is not None else Redaction()
    return replace(
        rules,
        headers=(*rules.headers, *dict.fromkeys(name for plan in plans for name in plan.secret)),
        query=(*rules.query, *fields),
        json_fields=(*rules.json_fields, *fields),
    )


# -- sending


@dataclass(frozen=True)
class _Answer:
    """Whether an answer came: why none did, or the content coding of the one that did."""

    problem: str = ""
    coding: str = ""


def _library() -> Any:
    try:
        import httpx2
    except ModuleNotFoundError:
        try:
            import httpx
        except ModuleNotFoundError:
            raise UsageError(
                "requests are sent with httpx2 or httpx, and neither is installed: pip install httpx2"
            ) from None
        return httpx
    return httpx2


def _record(
    path: Path,
    interactions: Sequence[Interaction],
    plans: Sequence[Plan],
    rules: Redaction,
    timeout: float,
    progress: Callable[[int, int], None],
) -> list[_Answer]:
    from streamkit.replay.use import use_cassette

    module = _library()
    answers: list[_Answer] = []
    with use_cassette(path, record_mode="rewrite", redaction=rules), module.Client(timeout=timeout) as client:
        for interaction, plan in zip(interactions, plans, strict=True):
            progress(len(answers), len(plans))
            if plan.missing:
                wanted = ", ".join(f"--param '{name}=$VARIABLE'" for name in plan.missing)
                answers.append(_Answer(f"not sent, because {', '.join(plan.missing)} was redacted: give {wanted}"))
            else:
                answers.append(_send(module, client, plan.request, interaction.transcript))
    progress(len(answers), len(plans))
    return answers


def _send(module: Any, client: Any, request: Request, old: Transcript) -> _Answer:
    """Send a request and read its answer; what comes is recorded on the way."""
    # the same coding as then, so that another one is the server's doing
    headers = [*request.headers, ("Accept-Encoding", codings_of(old) or "identity")]
    most = 2 * len(old.body) + _BEYOND if old.ending is Ending.CLIENT_CLOSED else None
    response = None
    try:
        sent = module.Request(request.method, request.url, headers=headers, content=request.body or None)
        response = client.send(sent, stream=True)
        size = 0
        for piece in response.iter_raw():
            size += len(piece)
            if most is not None and size > most:
                break
    except (module.HTTPError, module.InvalidURL, module.StreamError, ValueError, OSError) as error:
        if response is None:
            return _Answer(f"{type(error).__name__}: {error}".rstrip(": "))
        # the recording knows how it ended
    finally:
        if response is not None:
            response.close()
    return _Answer(coding=", ".join(response.headers.get_list("content-encoding")))
