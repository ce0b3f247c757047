"""Campaigns of cuts alone, for the tests of what cuts find: no mutation is applied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamkit.fuzz import Options, Report, fuzz

__all__ = ["fuzz_cuts"]


def fuzz_cuts(target: Any, transcripts: Any = None, *, options: Options | None = None, **more: Any) -> Report:
    """Fuzz without mutations; arguments and result as for `streamkit.fuzz.fuzz`."""
    return fuzz(target, transcripts, options=replace(options or Options(), mutations=False), **more)
