"""The protocol between streamkit and a driver: one line of JSON a case, and one line of JSON in answer.

A case, in one line and with its keys in this order, so that a program without a JSON parser can cut them out::

    {"id": 7, "url": "http://127.0.0.1:40123/...", "base_url": "http://...", "dialect": "openai_chat", "request": {...}}

- `url`: where the stream is; any POST is answered with it.
- `base_url`: the same as the base URL that an unmodified client of the API takes.
- `dialect`: of the stream, or null where no dialect knows it.
- `request`: a JSON body that may be sent: what was sent when the stream was recorded, as far as that is known.

The answer is `{"result": ANYTHING}`, or `{"error": {"type": "APIError", "message": "..."}}` where the code under test
raised. An error may say `"slip": true` (a fault of the parser's own) or `"slip": false` (one that a caller can expect);
else its type tells. An `id` may be given back, and then must be that of the case. Empty lines are passed over.
"""

from __future__ import annotations

import json
import re
from typing import Any

from streamkit.fuzz.normal import normalise, scrub
from streamkit.fuzz.outcome import Outcome
from streamkit.fuzz.slips import is_slip

__all__ = ["EXIT", "GARBAGE", "case_line", "garbage", "read_answer"]

#: Kinds of faults, as `Outcome.error` names them.
EXIT = "DriverExit"
GARBAGE = "DriverGarbage"

_SHOWN = 120  # characters of garbage
_ID = re.compile(r'("id"\s*:\s*"?)\d+')


def case_line(number: int, url: str, base_url: str, dialect: str | None, request: dict[str, Any]) -> bytes:
    """Return the line that gives a case to a driver, with its line end."""
    case = {"id": number, "url": url, "base_url": base_url, "dialect": dialect, "request": request}
    return json.dumps(case).encode() + b"\n"


def read_answer(line: str, number: int) -> Outcome:
    """Return the outcome that a driver's answer tells; one that is no answer is an outcome, too.

    Args:
        line: the answer; bytes that are not UTF-8 as lone surrogates.
        number: the id of the case.
    """
    answer = _parsed(line)
    if isinstance(answer, Outcome):
        return answer
    if not isinstance(answer, dict):
        return garbage("answer with JSON that is not an object", line)
    if answer.get("id", number) != number:
        return garbage("answer with another id than the case's", line)
    error = answer.get("error")
    if error is None:
        if "result" not in answer:
            return garbage("answer with neither a result nor an error", line)
        return Outcome(value=normalise(answer["result"]))
    if answer.get("result") is not None:
        return garbage("answer with both a result and an error", line)
    return _read_error(error, line)


def _parsed(line: str) -> Any:
    """Return the JSON of an answer, or the outcome of one that is none."""
    try:
        line.encode("utf-8")
        return json.loads(line)
    except UnicodeEncodeError:
        return garbage("answer with bytes that are not UTF-8", line)
    except json.JSONDecodeError as error:
        place = f"before {line[error.pos : error.pos + 20]!r}" if error.pos < len(line) else "at its end"
        why = f"{error.msg}, {place}" if error.pos else ""
        return garbage("answer with something that is not JSON", line, why)
    except RecursionError:
        return garbage("answer with JSON that is nested too deeply to be read", line)
    except ValueError:  # Python reads no integer of so many digits
        return garbage("answer with JSON that holds a number too long to be read", line)


def _read_error(error: Any, line: str) -> Outcome:
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return garbage("answer with an error that is neither an object nor a text", line)
    name, message = error.get("type") or "Error", error.get("message")
    message = "" if message is None else message if isinstance(message, str) else json.dumps(message)
    slip = error.get("slip")
    if not isinstance(name, str) or not (slip is None or isinstance(slip, bool)):
        return garbage("answer with an error whose type is no text or whose slip is not true or false", line)
    name = name.encode("utf-8", "backslashreplace").decode()  # the name is printed, and half a surrogate pair cannot be
    return Outcome(error=name, message=scrub(message), slip=is_slip(name, message) if slip is None else slip)


def garbage(fault: str, shown: bytes | str, why: str = "") -> Outcome:
    """Return the outcome of a driver that wrote to standard output what is no answer.

    Args:
        fault: what it did, to follow "makes the target".
        shown: what it wrote.
        why: what is wrong with that, where it does not show.
    """
    raw = shown[: 4 * _SHOWN]
    raw = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogateescape")
    text = raw.decode("utf-8", "backslashreplace").strip()
    text = _ID.sub(r"\1N", text)  # how cases are numbered depends on how many are under way
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return Outcome(error=GARBAGE, message=f"it wrote {scrub(text)!r}{why and f' ({why})'}", fault=fault, slip=True)
