"""Secrets made up of repeated words, requests that hold them, and what redaction promises of a transcript."""

from __future__ import annotations

import json
from typing import Any

from streamkit.cassettes.redaction import Redactor
from streamkit.transcript import Request, Transcript

KEY = "sk-proj-" + "test1234" * 4
PLAIN = "plain/words+of=no-shape"  # a credential that no shape gives away
URL = "https://api.openai.com/v1/chat/completions"


def request(body: Any = b"", url: str = URL, **headers: str) -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", url, tuple((name.replace("_", "-"), value) for name, value in headers.items()), data)


def taught(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.learn(request(authorization=f"Bearer {value}"))
    return redactor


def same_length(old: Transcript, new: Transcript) -> None:
    """Hold a transcript to what redaction promises of it."""
    assert (old.lengths, old.times, old.ending) == (new.lengths, new.times, new.ending)
    assert len(old.body) == len(new.body)
    assert old.body.count(b"\n") == new.body.count(b"\n")
