"""What a counterexample of a mutation tells somebody who has never seen the stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import streamkit
from streamkit.wire.sse import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

_CASE = "sk1:openai_chat/boston_weather@bc7d72dd69d9:whole:"


def _payloads(chunks: Iterable[bytes]) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in decode(b"".join(chunks)) if event.data and event.data[:1] == "{"]


def _pieces(chunks: Iterable[bytes]) -> dict[str, Any]:
    return {"pieces": [str(one["choices"][0]["delta"]) for one in _payloads(chunks)]}


def _slips(chunks: Iterable[bytes]) -> dict[str, Any]:
    deltas = [one["choices"][0]["delta"] for one in _payloads(chunks)]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or []]
    return {"content": "", "indexes": [call["index"] for call in calls]}


def _told(target: Any, mutation: str) -> str:
    with pytest.raises(streamkit.OracleFailure) as failure:
        streamkit.check(target, replay=_CASE + mutation)
    return str(failure.value.counterexamples[0])


def test_of_an_event_cut_in_two_the_part_is_shown_in_which_all_differ() -> None:
    told = _told(_pieces, "split_arguments").splitlines()
    shown = [line for line in told if line.strip().startswith(("before ", "after "))]
    assert len(shown) == 3
    assert all('"arguments":"' in line for line in shown)


def test_of_a_slip_on_another_dialect_it_is_said_that_a_typed_error_is_due() -> None:
    assert "expected    a typed error" in _told(_slips, "drop_index")
