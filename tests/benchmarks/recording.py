"""What recording and replaying a stream does to it: streamkit beside plain vcrpy, in one run.

    python tests/benchmarks/recording.py

The stream has seven HTTP chunks, 100 ms apart. CUT is the same stream, closed after the fourth chunk without the end of
its body.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from skhelpers.recording import CLIENTS, FACTS, PIECES, Call, Outcome, chat_server
from skhelpers.server import Answer

GAP = 0.1
SECRET = "Bearer sk-" + "test" * 8
NAMES = ["httpx", "httpx2", "httpx-async", "httpx2-async", "requests", "urllib3", "urllib.request", "aiohttp"]
HEAD = ["client", "tool", "first byte", "chunks", "replayed", "CUT, recording", "CUT, replayed", "saved", "secret"]


def vcrpy(path: Path, mode: str) -> Any:
    import vcr

    return vcr.use_cassette(str(path), record_mode=mode)


def streamkit(path: Path, mode: str) -> Any:
    import streamkit

    return streamkit.use_cassette(path, record_mode=mode)


def record(tool: Callable[[Path, str], Any], client: str, path: Path, answer: Answer) -> tuple[Outcome, Outcome, float]:
    """Return what the caller saw while recording and on replay, and the delay of its first byte in milliseconds."""
    call = Call(headers={**FACTS, "Authorization": SECRET})
    with chat_server(answer) as server:
        url = f"{server.url}/v1/chat"
        with tool(path, "once"):
            live = CLIENTS[client](url, call)
        delay = (live.at[0] - server.seen[0].sent[0]) * 1000 if live.at else float("nan")
    with tool(path, "none"):
        return live, CLIENTS[client](url, call), delay


def told(outcome: Outcome) -> str:
    return f"{len(outcome.body)} B {outcome.kind.rpartition('.')[2] or 'no error'}"


def row(tool: Callable[[Path, str], Any], client: str, folder: Path) -> list[str]:
    whole, cut = folder / f"{tool.__name__}-{client}.yaml", folder / f"{tool.__name__}-{client}-cut.yaml"
    live, again, delay = record(tool, client, whole, Answer(PIECES, gap=GAP))
    cut_live, cut_again, _ = record(tool, client, cut, Answer(PIECES[:4], gap=GAP, end="eof"))
    return [
        client,
        tool.__name__,
        f"{delay:.1f} ms",
        str(len(live.chunks)),
        str(len(again.chunks)),
        told(cut_live),
        told(cut_again),
        "yes" if cut.exists() else "no",
        "written" if SECRET.encode() in whole.read_bytes() else "no",
    ]


def main() -> None:
    rows = [HEAD]
    with tempfile.TemporaryDirectory() as folder:
        rows += [row(tool, name, Path(folder)) for name in NAMES if name in CLIENTS for tool in (streamkit, vcrpy)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
