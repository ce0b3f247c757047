"""Cases drawn for a server with a seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamkit
from streamkit.mutations.registry import Class
from streamkit.server.draw import drawn_case
from streamkit.transcript import Transcript

BOSTON = streamkit.load("openai_chat/boston_weather")


def test_the_same_numbers_draw_the_same_case_whatever_the_hash_seed() -> None:
    program = (
        "import streamkit\nfrom streamkit.server.draw import drawn_case\n"
        "from streamkit.mutations.registry import Class\n"
        "t = streamkit.load('openai_chat/boston_weather')\n"
        "print(*[drawn_case(t, 7, n, Class.DIALECT).token for n in range(1, 20)])"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout.decode()
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len(set(told[0].split())) > 10


@pytest.mark.parametrize("kind", [None, *Class])
def test_each_number_draws_a_case_that_can_be_delivered(kind: Class | None) -> None:
    drawn = [drawn_case(BOSTON, 0, number, kind) for number in range(1, 60)]
    assert all(b"".join(case.chunks()) == case.body for case in drawn)
    assert {(kind,) if kind is not None else ()} == {tuple(step.mutation.kind for step in case.steps) for case in drawn}
    assert len({len(case.fragmentation) for case in drawn}) > 4


@given(st.binary(max_size=5), st.integers(1, 50))
def test_a_body_of_a_few_bytes_can_be_drawn_from_too(body: bytes, number: int) -> None:
    """Invariant: whatever the body, the chunks of a drawn case are the body."""
    assert body == b"".join(drawn_case(Transcript(body), 0, number).chunks())
