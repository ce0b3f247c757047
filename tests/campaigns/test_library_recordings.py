"""No false alarm on the recordings of servers that travel with streamkit, in every class of mutations."""

from __future__ import annotations

import pytest
from skhelpers.alarms import Tried

import streamkit
from streamkit import Transcript, dialects
from streamkit.mutations.registry import Class

RECORDED = [
    one for name in dialects.names() for one in streamkit.library(dialect=name) if one.name.startswith("recorded/")
]


@pytest.mark.parametrize("transcript", RECORDED, ids=[one.name for one in RECORDED])
def test_every_mutation_of_a_recording_keeps_its_promise(transcript: Transcript) -> None:
    tally = Tried(transcript, tuple(Class), 0).all(3, 2)
    assert [] == [(alarm.token, alarm.why) for alarm in tally.alarms]
    assert tally.edits > 0 or not transcript.body
