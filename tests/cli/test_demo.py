"""`streamkit demo`: the main job on the bundled transcripts. It takes its time, so there is one test of it."""

from __future__ import annotations

import re

import pytest

from streamkit.cli import main


def test_the_demo_exits_0_and_shows_the_counterexample(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    out, err = capsys.readouterr()
    assert (0, "") == (ended.value.code, err)
    lines = out.splitlines()
    assert "3 bundled transcripts, 8883 bytes: no key, no network." == lines[0]
    targets = [line for line in lines if " deliveries, " in line]
    healthy = ("streamkit's own accumulator", "the real openai client, sync", "the real openai client, async")
    for line, name in zip(targets, healthy, strict=False):
        assert re.fullmatch(rf"{name}: \d+ deliveries, [\d.]+ s: the same result every time", line)
    assert len(healthy) + 1 == len(targets)
    assert re.fullmatch(r"an example parser with a bug in it: \d+ deliveries, [\d.]+ s: 2 counterexamples", targets[-1])
    ours, openai = [line for line in lines if " mutations, " in line]
    assert re.fullmatch(r"streamkit's own accumulator: \d{3} mutations, [\d.]+ s: right every time", ours)
    assert re.fullmatch(
        r"the real openai client, sync: \d{3} mutations, [\d.]+ s: \d+ lead to a wrong result .*", openai
    )
    shown = lines[lines.index("The smallest delivery that breaks the example parser:") + 2 :]
    assert "a cut inside a UTF-8 character changes the result" == shown[0]
    assert "  cut at 364, inside a UTF-8 character" in shown
    token = "sk1:openai_chat/synthetic_multibyte_text@9ee95e1bac4a:364"  # noqa: S105 - of a case
    assert f"  run again:  streamkit fuzz streamkit.examples:broken_parser --replay '{token}'" == shown[-1]
