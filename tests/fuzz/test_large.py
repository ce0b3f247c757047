"""A large transcript is fuzzed in bounded memory, and what was sampled is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Of the process alone: `ru_maxrss` would count what the parent had when it forked.
PEAK = Path("/proc/self/status")

MEGABYTES = 2**20


@pytest.mark.skipif(not PEAK.exists(), reason="the peak of memory use is read from /proc")
@pytest.mark.parametrize(
    ("target", "more"),
    [("streamkit:accumulate", ""), ("streamkit.replay.clients:openai_create", ", '--cuts-only'")],
)
def test_a_transcript_of_more_than_a_megabyte_stays_within_300_megabytes(
    tmp_path: Path, target: str, more: str
) -> None:
    piece = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "filler": "x" * 2000}
    events = [
        {**piece, "choices": [{"index": 0, "delta": {"content": f"wörd {number} "}, "finish_reason": None}]}
        for number in range(560)
    ]
    events.append({**piece, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = (
        "".join(f"data: {json.dumps(event, ensure_ascii=False)}\r\n\r\n" for event in events) + "data: [DONE]\r\n\r\n"
    )
    (tmp_path / "large.sse").write_bytes(body.encode())
    assert len(body) > 1_200_000
    script = (
        "from streamkit.cli import main\n"
        "try:\n"
        f"    main(['fuzz', {target!r}, 'large.sse', '--json', 'result.json', '--max-examples', '5'{more}])\n"
        "finally:\n"
        f"    print([line.split()[1] for line in open({str(PEAK)!r}) if line.startswith('VmHWM')][0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert int(done.stdout.split()[-1]) * 1024 < 300 * MEGABYTES
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert result["cases"] < 260
    assert "single cuts were sampled" in result["coverage"][0]["notes"][0]
