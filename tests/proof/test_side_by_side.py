"""Several processes: the same report as one gives, also where a bound ends it and where a process breaks down."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from streamkit.proof import ProofOptions, prove, workers
from streamkit.transcript import ResponseHead, Transcript

PARSERS = """
import multiprocessing
from collections import namedtuple

if multiprocessing.parent_process() is not None:
    print("imported once more")

Event = namedtuple("Another", "text")  # pickle does not find it by this name

class Lines:
    def __init__(self):
        self.rest, self.chunks = b"", 0

    def feed(self, chunk):
        self.chunks = (self.chunks + 1) % 7
        *lines, self.rest = (self.rest + chunk).split(b"\\n")
        return lines

class Named(Lines):
    def feed(self, chunk):
        return [Event(line) for line in super().feed(chunk)]

class OnlyHere(Lines):
    if multiprocessing.parent_process() is not None:
        raise RuntimeError("not in another process")
"""
BODY = Transcript.from_chunks([b"a\nbc\r\nd\n\ne\n"], head=ResponseHead(headers=(("content-type", "text/plain"),)))


@pytest.mark.parametrize("bounds", [{}, {"max_feeds": 100}, {"max_feeds": 300}, {"max_states": 20}])
@pytest.mark.parametrize("name", ["Lines", "Named", "OnlyHere"])
def test_the_report_does_not_depend_on_the_number_of_processes(
    name: str,
    bounds: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    module = f"side_by_side_{os.getpid()}"
    (tmp_path / f"{module}.py").write_text(PARSERS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(workers, "_WORTH_IT", 60)
    told = [
        {**prove(f"{module}:{name}", BODY, options=ProofOptions(workers=count, **bounds)).to_json(), "seconds": 0}
        for count in (1, 2)
    ]
    assert told[0] == told[1]
    (proof,) = told[0]["proofs"]
    assert ("not decidable here" if bounds else "proved") == proof["verdict"]
    assert proof["feeds"] <= bounds.get("max_feeds", proof["feeds"])
    out = capfd.readouterr()
    assert "imported once more" not in out.out
