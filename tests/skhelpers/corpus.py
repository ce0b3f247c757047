"""Transcripts that others recorded against real services: tested against where they are at hand, never copied here.

The folder is `$STREAMKIT_CORPUS`, or `shared/corpus` beside the checkout. Each body `X.sse` has facts in `X.meta.json`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("STREAMKIT_CORPUS") or ROOT.parent / "shared" / "corpus")

needs_corpus = pytest.mark.skipif(not FOLDER.is_dir(), reason="the corpus of recorded transcripts is not at hand")


@dataclass(frozen=True)
class Recording:
    """One recorded body: `name` is its path below the folder."""

    name: str
    path: Path
    meta: dict[str, Any]

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def family(self) -> str:
        return str(self.meta["wire_family"])


@cache
def recordings(suffix: str = ".sse", family: str | None = None) -> tuple[Recording, ...]:
    """Return the recordings with that file ending, of one wire family or all, sorted by name."""
    found = []
    for path in sorted(path for path in FOLDER.rglob(f"*{suffix}") if path.is_file()):
        meta = json.loads((path.parent / (path.name.removesuffix(suffix) + ".meta.json")).read_text("utf-8"))
        if family in (None, meta["wire_family"]):
            found.append(Recording(path.relative_to(FOLDER).as_posix(), path, meta))
    return tuple(found)
