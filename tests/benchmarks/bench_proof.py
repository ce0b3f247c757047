"""Proof: what one feed of the walk costs, beside the feed alone, and how long a transcript takes."""

from __future__ import annotations

import pickle
import time

from measure import Table

from streamkit import SSEDecoder, Transcript, dialects, load
from streamkit.proof import ProofOptions, prove

__all__ = ["tables"]


def tables(rounds: int, name: str = "openai_chat/boston_weather") -> list[Table]:
    """Prove a transcript with our decoder and with the reader of its API, in turns.

    Args:
        rounds: how often; a proof of the Boston trace takes the better part of a minute, so at most 3 are made.
        name: of the transcript.
    """
    transcript = load(name)
    body = transcript.body
    feeds = len(body) * (len(body) + 1) // 2
    reader = dialects.get(transcript.dialect or "openai_chat").reader
    subjects = {"SSEDecoder": SSEDecoder, f"{transcript.dialect} reader": reader}
    seconds: dict[str, list[float]] = {subject: [] for subject in subjects}
    for _ in range(max(1, min(rounds, 3))):
        for subject, target in subjects.items():
            began = time.process_time()
            report = prove(target, transcript, options=ProofOptions(empty_chunks=False))
            seconds[subject].append(time.process_time() - began)
            assert report.proved
    alone = _feed_alone(transcript)
    found = Table(f"Proof of {name}: {len(body)} bytes, {feeds} feeds, one process", ["seconds", "us a feed"])
    for subject, times in seconds.items():
        best = sorted(times)[len(times) // 2]
        found.rows[subject] = [best, best / feeds * 1e6]
    found.rows["feed of half the body, copy and pickle alone"] = [None, alone * 1e6]
    found.ratios["SSEDecoder's proof to feed, copy and pickle alone"] = (found.rows["SSEDecoder"][1] or 0.0) / (
        alone * 1e6
    )
    return [found]


def _feed_alone(transcript: Transcript) -> float:
    """Return the seconds of one copy, one feed and one pickle of our decoder, on average over all chunk lengths."""
    body, decoder = transcript.body, SSEDecoder()
    ends = range(1, len(body))
    began = time.process_time()
    for end in ends:
        copied = decoder.copy()
        copied.feed(body[:end])
        pickle.dumps(copied, 5)
    return (time.process_time() - began) / max(1, len(ends))
