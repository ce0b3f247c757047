"""Every planted bug in a parser of chat streams is caught by its mutation, alone."""

from __future__ import annotations

import pytest

from .planting import Planted, assert_caught, registered


@pytest.mark.parametrize("planted", registered("chat"), ids=str)
def test_a_planted_bug_is_caught_by_its_mutation_alone(planted: Planted) -> None:
    assert_caught(planted)
