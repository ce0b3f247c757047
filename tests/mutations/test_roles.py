"""The role of an answer: deltas that a mutation puts in leave it with the first."""

from __future__ import annotations

import pytest
from skhelpers.mutated import chat_streams, edits

from streamkit.mutations.registry import get
from streamkit.mutations.stream import Stream

NAMES = ["split_text", "single_characters", "marker_cuts", "echoed_token", "empty_content", "split_arguments"]


def begins_with_role(stream: Stream) -> dict[int, bool]:
    """Say of each choice whether its first delta has a role."""
    found: dict[int, bool] = {}
    for _, payload in stream.payloads:
        for choice in payload.get("choices", []):
            found.setdefault(choice["index"], "role" in choice.get("delta", {}))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_role_stays_with_the_first_delta_of_a_choice(name: str) -> None:
    made = [(stream, edit.stream) for stream in chat_streams() for _, edit in edits(get(name), stream, 12)]
    assert made
    for before, after in made:
        assert begins_with_role(before) == begins_with_role(after)
