"""What the replay server does with one request: which answer it gives, and how. Nothing is sent here."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from streamkit.case import Case
from streamkit.errors import CassetteError, StreamkitError, UsageError
from streamkit.replay.delivery import Delivery
from streamkit.server.answers import Answers, Miss, local, models
from streamkit.server.api_errors import api_error, dialect_of_path
from streamkit.server.draw import drawn_case
from streamkit.server.how import PLAIN, How
from streamkit.server.offers import Offers, delivery
from streamkit.server.steer import HEADER, PREFIX, Steering, read_header, read_path
from streamkit.server.writes import encoded
from streamkit.transcript import Request, ResponseHead, Transcript

if TYPE_CHECKING:
    from pathlib import Path

    from streamkit.mutations.registry import Class
    from streamkit.server.connection import Received

__all__ = ["Conduct", "Plan", "Planner", "refused"]

_HTML = b"""<!DOCTYPE html>
<html><head><title>%(status)d %(reason)s</title></head>
<body><center><h1>%(status)d %(reason)s</h1></center><hr><center>proxy</center></body></html>
"""
_REASONS = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 413: "Payload Too Large", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
    529: "Overloaded",
}  # fmt: skip
_FILES = (".yaml", ".yml", ".sse")
_CORS = (("access-control-allow-origin", "*"), ("access-control-expose-headers", "*"))


@dataclass(frozen=True)
class Conduct:
    """What a server does with every request.

    Attributes:
        how: on the wire.
        seed: cut each answer in another way, drawn with this seed; None for the recorded chunks.
        mutate: also apply a drawn mutation of this class; None for none.
        cors: let pages of other origins read the answers.
    """

    how: How = PLAIN
    seed: int | None = None
    mutate: Class | None = None
    cors: bool = False


@dataclass(frozen=True)
class Plan:
    """What is done with one request.

    Attributes:
        delivery: the answer.
        how: on the wire.
        told: what the log says of it: `answer`, and more.
    """

    delivery: Delivery
    how: How
    told: dict[str, Any] = field(default_factory=dict)


class Planner:
    """Plans the answers of one server. May be used from several threads.

    Args:
        answers: the interactions that are served.
        offers: what code holds out.
        conduct: towards every request.
        folder: of the project's cassettes, for names that a request gives.
    """

    def __init__(self, answers: Answers, offers: Offers, conduct: Conduct, *, folder: str | Path | None = None) -> None:
        self.answers = answers
        self.offers = offers
        self.conduct = conduct
        self.url = ""
        self._lock = threading.Lock()
        self._drawn = 0
        self._counts: dict[str, int] = {}
        self._folder = folder
        self._known: dict[str, tuple[int, Transcript]] = {}

    def plan(self, received: Received) -> Plan:
        """Return what to do with a request. Whatever is wrong with it is an answer, too."""
        target = _without_host(received.target)
        api = dialect_of_path(received.method, target.partition("?")[0])
        try:
            steering, rest = read_path(target, self.find)
            told = read_header(received.header(HEADER), self.find)
            if told.text:
                steering = Steering(
                    told.case or steering.case, told.offer or steering.offer, told.how.beside(steering.how),
                    ";".join(filter(None, (steering.text, told.text))),
                )  # fmt: skip
            plan = self._answer(received, steering, rest)
        except StreamkitError as error:
            plan = _refusal(api, 400, str(error), facts={"reason": "steering"})
        plan = self._kept_to(plan, received, api)
        if self.conduct.cors:
            head = plan.delivery.head
            plan = replace(plan, delivery=replace(plan.delivery, head=replace(head, headers=(*head.headers, *_CORS))))
        return plan

    def shown(self, received: Received) -> str:
        """Return the target of a request without secrets: some APIs take their key in the URL."""
        return self.answers.without_secrets(Request(received.method, received.target)).url

    def count_anew(self, path: str) -> None:
        """Take it that no request came yet to a path and what is below it: `first=` holds for the next ones again."""
        path = unquote(path)
        with self._lock:
            for asked in [one for one in self._counts if one == path or one.startswith((f"{path}/", f"{path}?"))]:
                del self._counts[asked]

    # -- which answer

    def _answer(self, received: Received, steering: Steering, rest: str) -> Plan:
        path = rest.partition("?")[0]
        api = dialect_of_path("POST", path)
        request = Request(received.method, local(self.url, rest), received.headers, received.body)
        if received.method == "OPTIONS" and self.conduct.cors:
            return _preflight(received)
        how = steering.how
        reading = received.method in ("GET", "HEAD")
        if steering.offer:
            offer = self.offers.get(steering.offer)
            if offer is None:
                return _refusal(api, 404, f"there is no offer {PREFIX}~{steering.offer}: it was taken back")
            if not reading:
                offer.requests.append(request)
                return Plan(offer.delivery, how.beside(offer.how), {"answer": f"~{offer.id}"})
        elif steering.case is not None and not reading:
            return self._of_case(steering.case, how)
        else:
            found = self.answers.find(request)
            if isinstance(found, Transcript):
                return self._of_match(found, how)
        if reading:
            known = self._known_to_all(received, path)
            if known is not None:
                return known
            if api is not None:
                return _refusal(api, 405, f"{path} is asked by POST, not by {received.method}", allow="POST")
        if steering.case is not None or steering.offer:
            return _refusal(api, 404, f"nothing answers {received.method} {path}")
        assert isinstance(found, Miss)  # noqa: S101 - the branches above have returned
        return _refusal(api, 404, found.message, facts=found.facts)

    def _of_match(self, transcript: Transcript, how: How) -> Plan:
        seed = self.conduct.seed
        if seed is None:
            return self._of_case(Case(transcript, transcript.recorded), how)
        with self._lock:
            self._drawn += 1
            number = self._drawn
        return self._of_case(drawn_case(transcript, seed, number, self.conduct.mutate), how)

    def _of_case(self, case: Case, how: How) -> Plan:
        return Plan(delivery(case), how, {"answer": str(case.token)})

    def _known_to_all(self, received: Received, path: str) -> Plan | None:
        """Return the answer to what every such server is asked: its models, and whether it lives."""
        if path in ("/", "/health", "/healthz"):
            told = {"status": "ok", "serves": sorted(one.name for one in self.answers.transcripts)}
            head = ResponseHead(200, "OK", (("content-type", "application/json"),))
            return Plan(Delivery(head, [json.dumps(told).encode()]), PLAIN, {"answer": "health"})
        if path.endswith(("/models", "/api/tags")) or "/models/" in path:
            anthropic = received.header("anthropic-version") is not None
            head, body = models(self.answers.transcripts, path, anthropic=anthropic)
            return Plan(Delivery(head, [body]), PLAIN, {"answer": "models"})
        return None

    def find(self, name: str) -> Transcript | None:
        """Return the transcript of a name, of those that are served or can be named; None where there is none.

        A path is no name here: whoever can reach the server could read files with it. A cassette that has changed is
        read again.
        """
        served = next((one for one in self.answers.listed if one.name == name), None)
        if served is not None or PurePath(name).suffix in _FILES:
            return served
        from streamkit import cassettes

        stem, mark, number = name.rpartition("#")
        try:
            path = cassettes.find(stem if mark and number.isdigit() else name, folder=self._folder)
            changed = path.stat().st_mtime_ns
            with self._lock:
                known = self._known.get(name)
            if known is not None and known[0] == changed:
                return known[1]
            found = cassettes.load(name, folder=self._folder)
        except (CassetteError, UsageError, OSError):
            return None
        with self._lock:
            self._known[name] = (changed, found)
        return found

    # -- how

    def _kept_to(self, plan: Plan, received: Received, api: str | None) -> Plan:
        """Return the plan with the conduct that holds for this request: its status, its coding."""
        if plan.told.get("answer") in ("error", "models", "health", "preflight"):
            return plan
        how = plan.how.beside(self.conduct.how)
        if how.first is not None:
            asked = unquote(_without_host(received.target))  # clients encode the same URL in their own ways
            with self._lock:
                count = self._counts[asked] = self._counts.get(asked, 0) + 1
            if count > how.first:
                how = How(framing=how.framing, writes=how.writes, speed=how.speed, gap=how.gap)
        if how.status is not None or how.page is not None:
            page = _page(how, plan, api)
            return Plan(page, how, {**plan.told, "answer": "status" if how.status else "page"})
        answer = plan.delivery
        told = dict(plan.told)
        if how.encoding is not None:
            name = how.encoding.partition("-")[0]
            if _accepts(received, name):
                answer = encoded(answer, how.encoding)
            else:
                told["note"] = f"not compressed: the client does not accept {name}"
        return Plan(answer, how, {**told, "how": str(how)} if str(how) else told)


def _without_host(target: str) -> str:
    """Return path and query of a target that may be a whole URL, as a client writes it to an HTTP proxy."""
    if not target.lower().startswith(("http://", "https://")):
        return target
    _, mark, rest = target.partition("://")[2].partition("/")
    return mark + rest if mark else "/"


def _page(how: How, plan: Plan, api: str | None) -> Delivery:
    status = how.status or 200
    reason = _REASONS.get(status, "OK" if status < 400 else "Error")
    headers: list[tuple[str, str]] = []
    if how.page == "html":
        body = _HTML % {b"status": status, b"reason": reason.encode()}
        headers = [("content-type", "text/html")]
    elif how.page == "empty":
        body = b""
        kind = plan.delivery.head.header("content-type") or "text/event-stream"
        headers = [("content-type", kind)]
    else:
        headers, body = api_error(api, status, f"{reason}: the replay server was told to answer so")
    if how.retry_after is not None:
        headers = [*headers, ("retry-after", how.retry_after)]
    return Delivery(ResponseHead(status, reason, tuple(headers)), [body] if body else [])


def _refusal(
    api: str | None, status: int, message: str, *, facts: dict[str, Any] | None = None, allow: str = ""
) -> Plan:
    headers, body = api_error(api, status, message, facts=facts)
    if allow:
        headers = [*headers, ("allow", allow)]
    head = ResponseHead(status, _REASONS[status], tuple(headers))
    told = {"answer": "error", "error": message}
    return Plan(Delivery(head, [body]), PLAIN, {**told, "reason": facts["reason"]} if facts else told)


def _preflight(received: Received) -> Plan:
    wanted = received.header("access-control-request-headers") or "*"
    headers = (("access-control-allow-methods", "GET, POST, OPTIONS"), ("access-control-allow-headers", wanted))
    return Plan(Delivery(ResponseHead(200, "OK", headers), []), PLAIN, {"answer": "preflight"})


def _accepts(received: Received, coding: str) -> bool:
    accepted = [part.strip().lower() for part in (received.header("accept-encoding") or "").split(",")]
    names = {part.partition(";")[0].strip() for part in accepted if part.partition("q=")[2].strip() not in ("0", "0.0")}
    return coding in names or "*" in names


def refused(api: str | None, status: int, message: str, *, facts: dict[str, Any] | None = None) -> Delivery:
    """Return the answer to a request that cannot be answered, or not even be read; arguments as for `api_error`."""
    return _refusal(api, status if status in _REASONS else 400, message, facts=facts).delivery
