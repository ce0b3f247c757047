"""HAR 1.2, the archive that browsers and proxies export: reading everybody's, and writing ours.

What each program writes differs from the standard in its own way: HTTP/2 pseudo headers (Chrome, Firefox, Safari),
bodies that were not kept (all of them) or stand in a file of their own (Playwright), bodies in the chunks in which they
came, still compressed (Polly.js). A HAR's content is decoded while its headers still name the coding; so that header
goes, unless the bytes are the wire's.

What we write holds `_streamkit` inside each response, with the keys of `response.streamkit` of a cassette: then the
body is exactly the transcript's, whatever the headers say, and nothing is lost.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from streamkit.cassettes.encoding import begins_as, codings_of, without_coding
from streamkit.cassettes.format import FORMAT, Cassette, stream_entry, stream_facts
from streamkit.errors import CassetteFormatError, UsageError
from streamkit.transcript import Interaction, Request, ResponseHead, Transcript

__all__ = ["read_har", "write_har"]

_SPACE = re.compile(r"[ \t\r\n]*")
_BODILESS = {101, 204, 205, 304}
_FORM = "application/x-www-form-urlencoded"
Place = tuple[str | int, ...]
Headers = tuple[tuple[str, str], ...]


def _line(text: str, place: Place) -> int | None:
    """Return the 1-based line on which a value of a JSON text stands, or None where it is not there."""
    decoder = json.JSONDecoder()

    def skip(at: int) -> int:
        found = _SPACE.match(text, at)
        return found.end() if found else at

    at = skip(0)
    for step in place:
        if text[at] != ("{" if isinstance(step, str) else "["):
            return None
        at = skip(at + 1)
        number = 0
        while text[at] not in "}]":
            key: Any = number
            if isinstance(step, str):
                key, at = decoder.raw_decode(text, at)
                at = skip(skip(at) + 1)
            if key == step:
                break
            at = skip(decoder.raw_decode(text, at)[1])
            at = skip(at + 1) if text[at] == "," else at
            number += 1
        else:
            return None
    return text.count("\n", 0, at) + 1


class _Faults:
    """Raises the format error for a place in the document, given as a path of keys and indexes."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    def at(self, place: Place, reason: str) -> CassetteFormatError:
        line = None
        for length in range(len(place), -1, -1):  # what is missing is reported where it should be
            line = _line(self.text, place[:length])
            if line is not None:
                break
        where = ".".join(str(step) for step in place)
        return CassetteFormatError(self.path, f"{where}: {reason}" if where else reason, line=line)


def read_har(raw: bytes, path: str, *, name: str | None = None, only: int | None = None) -> Cassette:
    """Read a HAR file.

    Args:
        raw: the bytes of the file.
        path: the file, for messages.
        name: the name that the transcripts get; the path where None. The second entry is named `NAME#2`, and so on.
        only: the number of the one entry to read, from 1; None for all. The others may then be unreadable.

    Raises:
        CassetteFormatError: the file is no HAR, or an entry has no response or its body was not kept.
        UsageError: there is no entry of that number.
    """
    try:
        text = raw.decode(json.detect_encoding(raw))
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise CassetteFormatError(path, f"not JSON: {error.msg}", line=error.lineno) from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CassetteFormatError(path, f"not JSON: {error}") from None
    fault = _Faults(path, text)
    log = document.get("log") if isinstance(document, dict) else None
    if not isinstance(log, dict) or not isinstance(log.get("entries"), list):
        raise fault.at((), "no HAR: an object `log` with a list `entries` is expected")
    entries = log["entries"]
    if only is not None and not 1 <= only <= len(entries):
        raise UsageError(f"{name or path} holds {len(entries)} interactions: there is no #{only}")
    reader = _Reader(fault, entries, _creator(log))
    label = path if name is None else name
    return Cassette(
        tuple(
            reader.interaction(number, label if number == 0 else f"{label}#{number + 1}")
            for number in (range(len(entries)) if only is None else [only - 1])
        )
    )


def _creator(log: dict[str, Any]) -> str:
    creator = log.get("creator")
    if not isinstance(creator, dict):
        return ""
    return " ".join(str(creator[key]) for key in ("name", "version") if creator.get(key))


class _Reader:
    """Reads the entries of one file."""

    def __init__(self, fault: _Faults, entries: list[Any], creator: str) -> None:
        self.fault = fault
        self.entries = entries
        self.creator = creator

    def interaction(self, number: int, name: str) -> Interaction:
        entry = self.entries[number]
        place: Place = ("log", "entries", number)
        for part in ("request", "response"):
            if not isinstance(entry, dict) or not isinstance(entry.get(part), dict):
                raise self.fault.at(place, f"an entry has a `request` and a `response`; `{part}` is missing")
        ours = entry["response"].get("_streamkit")
        if ours is not None and not isinstance(ours, dict):
            raise self.fault.at((*place, "response", "_streamkit"), "an object is expected")
        request = self._request(entry["request"], (*place, "request"), exact=ours is not None)
        response = entry["response"]
        status = response.get("status")
        here = (*place, "response")
        if type(status) is not int:
            raise self.fault.at((*here, "status"), "a response has a `status`, a whole number")
        if status <= 0:
            said = response.get("_error") or response.get("_failureText") or entry.get("_error")
            raise self._unusable(here, f"no response came (status {status}{f', {said}' if said else ''})")
        head = ResponseHead(
            status,
            str(response.get("statusText") or ""),
            self._headers(response.get("headers"), (*here, "headers"), exact=ours is not None),
        )
        if ours is not None:
            body = self._content(response, here, request.method, exact=True)[0]
            return Interaction(request, self._ours(ours, body, head, here, name, request))
        body, lengths, is_text = self._content(response, here, request.method, exact=False)
        transcript = Transcript(
            body,
            head,
            lengths=lengths,
            chunks_recorded=bool(lengths),
            name=name,
            source=f"a HAR file of {self.creator}" if self.creator else "a HAR file",
            request=request,
        )
        coding = codings_of(transcript)
        if coding and (is_text or not (lengths or begins_as(body, coding))):
            transcript = without_coding(transcript)
        return Interaction(request, transcript)

    def _ours(
        self, ours: dict[str, Any], body: bytes, head: ResponseHead, place: Place, name: str, request: Request
    ) -> Transcript:
        try:
            facts = stream_facts(ours, len(body), path=self.fault.path)
        except CassetteFormatError as error:
            raise self.fault.at((*place, "_streamkit"), error.reason.removeprefix("streamkit.")) from None
        return Transcript(body=body, head=head, name=name, request=request, **facts)

    def _request(self, entry: dict[str, Any], place: Place, *, exact: bool) -> Request:
        if not isinstance(entry.get("url"), str) or not isinstance(entry.get("method"), str):
            raise self.fault.at(place, "a request has a `method` and a `url`")
        headers = self._headers(entry.get("headers"), (*place, "headers"), exact=exact)
        return Request(entry["method"], entry["url"], headers, self._post_data(entry, place))

    def _post_data(self, entry: dict[str, Any], place: Place) -> bytes:
        data = entry.get("postData")
        place = (*place, "postData")
        if data is None:
            return b""
        if not isinstance(data, dict):
            raise self.fault.at(place, "an object is expected")
        if data.get("text"):
            text = data["text"]
            if not isinstance(text, str):
                raise self.fault.at((*place, "text"), "a text is expected")
            if data.get("encoding") == "base64":
                return self._base64(text, (*place, "text"))
            return self._utf8(text, (*place, "text"))
        if data.get("_file"):
            raise self.fault.at(
                place, f"the request's body is in a file of its own, {data['_file']!r}: record it embedded"
            )
        params = data.get("params")
        if not params:
            return b""
        mime = str(data.get("mimeType") or _FORM).partition(";")[0].strip().lower()
        if not isinstance(params, list) or not all(isinstance(p, dict) for p in params) or mime != _FORM:
            raise self.fault.at(
                (*place, "params"),
                f"the bytes of a request of {mime!r} cannot be told from `params`: `text` is missing",
            )
        return urlencode([(str(p.get("name", "")), str(p.get("value") or "")) for p in params]).encode()

    def _headers(self, headers: Any, place: Place, *, exact: bool) -> Headers:
        if headers is None:
            return ()
        found = []
        if not isinstance(headers, list):
            raise self.fault.at(place, "a list of {name, value} is expected")
        for number, header in enumerate(headers):
            if not isinstance(header, dict) or not isinstance(header.get("name"), str):
                raise self.fault.at((*place, number), "an object with `name` and `value` is expected")
            name, value = header["name"], str(header.get("value") or "")
            if exact:
                found.append((name, value))
            elif not name.startswith(":"):  # HTTP/2's pseudo headers say what stands elsewhere already
                found += [(name, one) for one in value.split("\n")]  # Chrome joins headers of one name so
        return tuple(found)

    def _content(
        self, response: dict[str, Any], place: Place, method: str, *, exact: bool
    ) -> tuple[bytes, tuple[int, ...], bool]:
        """Return the body, its chunks where they are known, and whether it stood there as text."""
        content = response.get("content")
        place = (*place, "content")
        if content is None:
            content = {}
        if not isinstance(content, dict):
            raise self.fault.at(place, "an object is expected")
        text = content.get("text")
        if text is None:
            self._check_empty(response, content, place, method)
            return b"", (), True
        if not isinstance(text, str):
            raise self.fault.at((*place, "text"), "a text is expected")
        place = (*place, "text")
        encoding = str(content.get("encoding") or "").lower()
        if not exact and (pieces := self._polly(text, encoding, place)) is not None:
            return b"".join(pieces), tuple(len(piece) for piece in pieces), False
        if encoding == "base64":
            return self._base64(text, place), (), False
        if encoding not in ("", "utf-8", "utf8"):
            raise self.fault.at(place, f"the encoding {encoding!r} of the content is not known (known: base64)")
        return self._utf8(text, place, "" if exact else str(content.get("mimeType") or "")), (), True

    def _check_empty(self, response: dict[str, Any], content: dict[str, Any], place: Place, method: str) -> None:
        """Raise unless a body without text is an empty one."""
        if "_file" in content:
            raise self._unusable(
                place, f"the body is in a file of its own, {content['_file']!r}: record it embedded (content: 'embed')"
            )
        if method == "HEAD" or response["status"] in _BODILESS or content.get("size") == 0:
            return
        if content.get("size") in (None, -1) and response.get("bodySize") == 0:
            return
        said = content.get("comment") or content.get("_error") or response.get("comment")
        reason = f"the body was not kept, `text` is missing{f' ({said})' if said else ''}"
        raise self._unusable(place, f"{reason}: export it again with the contents of responses")

    def _unusable(self, place: Place, reason: str) -> CassetteFormatError:
        """Return the error for an entry that cannot be read, which need not keep the others from being read."""
        if len(self.entries) > 1:
            streams = [f"#{n + 1}" for n, entry in enumerate(self.entries) if _is_stream(entry)]
            hint = f"; bodies of event streams are in {', '.join(streams[:5])}" if streams else ""
            reason += f". It is #{int(place[2]) + 1} of {len(self.entries)}: name another by its number{hint}"
        return self.fault.at(place, reason)

    def _polly(self, text: str, encoding: str, place: Place) -> list[bytes] | None:
        """Return the chunks in which Polly.js keeps a compressed body: a JSON list of base64, or of hex before."""
        if not self.creator.lower().startswith("polly") or not text.startswith('["'):
            return None
        try:
            listed = json.loads(text)
            if encoding == "base64":
                return [base64.b64decode(piece, validate=True) for piece in listed]
            return [bytes.fromhex(piece) for piece in listed]
        except (ValueError, TypeError) as error:
            if encoding == "base64":
                raise self.fault.at(place, f"no list of base64 chunks: {error}") from None
            return None

    def _base64(self, text: str, place: Place) -> bytes:
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise self.fault.at(place, f"not base64: {error}") from None

    def _utf8(self, text: str, place: Place, mime: str = "") -> bytes:
        """Return the bytes of a text: UTF-8, or the charset that the response declared and that fits."""
        charset = re.search(r"charset=[\"']?([\w.:-]+)", mime, re.IGNORECASE)
        if charset is not None and not mime.lower().startswith("text/event-stream"):  # which is always UTF-8
            try:
                return text.encode(charset[1])
            except (LookupError, UnicodeError):
                pass
        try:
            return text.encode()
        except UnicodeEncodeError:
            raise self.fault.at(place, "the text holds half a surrogate pair, which is no UTF-8") from None


def _is_stream(entry: Any) -> bool:
    response = entry.get("response") if isinstance(entry, dict) else None
    content = response.get("content") if isinstance(response, dict) else None
    return isinstance(content, dict) and bool(content.get("text")) and "event-stream" in str(content.get("mimeType"))


def write_har(cassette: Cassette) -> bytes:
    """Return the bytes of a HAR file. The same cassette always gives the same bytes.

    A body that is UTF-8 is text, any other base64. No moment is known at which a request was sent, so that all of them
    are said to be sent at the beginning of 1970; the times of chunks are in `_streamkit`, and their sum in `timings`.
    """
    log = {
        "version": "1.2",
        "creator": {"name": "streamkit", "version": str(FORMAT)},
        "entries": [_entry(interaction) for interaction in cassette.interactions],
    }
    try:
        return (json.dumps({"log": log}, ensure_ascii=False, indent=2) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair in a header
        return (json.dumps({"log": log}, indent=2) + "\n").encode()


def _entry(interaction: Interaction) -> dict[str, Any]:
    request, transcript = interaction.request, interaction.transcript
    head = transcript.head
    took = transcript.times[-1]
    sent: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _named(request.headers),
        "queryString": _named(_query(request.url)),
        "headersSize": -1,
        "bodySize": len(request.body),
    }
    if request.body:
        kind = next((value for key, value in request.headers if key.lower() == "content-type"), "")
        sent["postData"] = {"mimeType": kind, **_text(request.body)}
    response = {
        "status": head.status,
        "statusText": head.reason,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _named(head.headers),
        "content": {
            "size": len(transcript.body),
            "mimeType": head.header("content-type") or "",
            **_text(transcript.body),
        },
        "redirectURL": head.header("location") or "",
        "headersSize": -1,
        "bodySize": len(transcript.body),
        "_streamkit": stream_entry(transcript),
    }
    return {
        "startedDateTime": "1970-01-01T00:00:00.000Z",
        "time": took,
        "request": sent,
        "response": response,
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": took},
    }


def _query(url: str) -> Headers:
    try:
        return tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    except ValueError:  # no URL, or one with more parameters than a browser would send
        return ()


def _named(pairs: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _text(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(data).decode(), "encoding": "base64"}
