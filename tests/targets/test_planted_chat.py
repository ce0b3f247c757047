"""Every planted bug in a parser of chat streams is caught by its mutation, alone."""

from __future__ import annotations

import pytest

from streamkit.mutations.registry import mutations

from .planting import Planted, assert_caught, registered

CHAT = registered("chat")


def test_every_mutation_that_concerns_chat_has_a_planted_bug() -> None:
    concerned = {one.name for one in mutations(dialect="openai_chat")}
    assert set() == concerned - {planted.mutation for planted in CHAT}


@pytest.mark.parametrize("planted", CHAT, ids=str)
def test_a_planted_bug_is_caught_by_its_mutation_alone(planted: Planted) -> None:
    found = assert_caught(planted)
    assert found.finding is not None
    assert () == found.finding.case.fragmentation.cuts
