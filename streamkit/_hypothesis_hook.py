"""Registers our types with Hypothesis, so that `st.from_type(Transcript)` works. Hypothesis runs it when imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["_hypothesis_setup_hook"]


def _hypothesis_setup_hook() -> None:
    from hypothesis import strategies as st

    from streamkit.case import Case
    from streamkit.transcript import Transcript

    def of_transcript(_: type[Any]) -> SearchStrategy[Transcript]:
        from streamkit.strategies import transcripts

        return transcripts()

    def of_case(_: type[Any]) -> SearchStrategy[Case]:
        from streamkit.strategies import cases

        return cases()

    st.register_type_strategy(Transcript, of_transcript)
    st.register_type_strategy(Case, of_case)
