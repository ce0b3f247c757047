"""The damage that the conformance kit does to a stream."""

from __future__ import annotations

import random

from skhelpers.chat import weather

from streamkit import dialects
from streamkit.conformance.damage import JUNK, damaged
from streamkit.transcript import Transcript


def test_damage_is_the_same_every_time_and_always_something_else() -> None:
    body = weather()
    first = list(damaged(body, random.Random(0), changes=20, values=50))
    assert first == list(damaged(body, random.Random(0), changes=20, values=50))
    assert 40 + 50 * 11 == len(first)
    assert 0.9 < sum(changed != body for _, changed in first) / len(first)


def test_every_kind_of_value_is_replaced() -> None:
    body = b'data: {"a":"x","b":[1,true],"c":{}}\n\n'
    changed = {one for _, one in damaged(body, random.Random(0), changes=0, values=100)}
    for old in (b'"x"', b"1", b"true", b"{}", b"[1,true]"):
        assert body.replace(old, b"[5]", 1) in changed
    assert body.replace(b'"a"', b"5") not in changed
    assert 5 * 11 == len(list(damaged(body, random.Random(0), changes=0, values=100))) - 11 * body.count(b"{}")


def test_junk_is_no_answer_in_any_dialect() -> None:
    assert [] == [
        junk for junk in JUNK for name in dialects.names() if dialects.get(name).detect(Transcript(junk, dialect=None))
    ]
