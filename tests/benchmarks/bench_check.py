"""What `streamkit.check` spends its time on: the parser under test, Hypothesis's drawing, or itself.

Clocks are wrapped around the target and around the drawing; what is left is streamkit's own: the cuts, the mutations,
the normal form of results and the verdicts. No profiler is used, since one that looks at each call makes calls dear.
Beside it a bare Hypothesis test draws as many sets of cuts and hands them to the same parser.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hypothesis
from hypothesis import HealthCheck, Verbosity
from hypothesis import strategies as st
from measure import Table, interleaved

from streamkit import strategies
from streamkit.cassettes import load
from streamkit.dialects import openai_chat
from streamkit.fuzz import Options, Report, drawn, fuzz
from streamkit.fuzz.applied import Applied
from streamkit.fuzz.search import Search

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from targets import chat_right

_STREAM = "openai_chat/boston_weather"
_PHASES = {"_first_failing": "prelude", "_sweep": "single cuts", "_drawn": "drawn", "_mutate": "mutated"}
_OWN = ("other", *_PHASES.values())

Parser = Callable[[Iterable[bytes]], Any]


# -- the parsers under test


def reader(chunks: Iterable[bytes]) -> Any:
    """Read with streamkit's own reader of chat completions."""
    found = openai_chat.Reader()
    for chunk in chunks:
        found.feed(chunk)
    found.close()
    return found.result()


def openai_stream() -> Parser:
    """Return a parser that reads with the stream classes of the openai library; ImportError where that is missing."""
    import httpx2
    import openai
    from openai.types.chat import ChatCompletionChunk

    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9")
    request = httpx2.Request("POST", "http://127.0.0.1:9/chat/completions")

    class Body(httpx2.SyncByteStream):
        def __init__(self, chunks: Iterable[bytes]) -> None:
            self.chunks = chunks

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.chunks)

    def parse(chunks: Iterable[bytes]) -> dict[str, Any]:
        response = httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, stream=Body(chunks), request=request
        )
        text, calls, finish = "", dict[int, dict[str, str]](), None
        for chunk in openai.Stream(cast_to=ChatCompletionChunk, response=response, client=client):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for part in choice.delta.tool_calls or []:
                    call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                    call["id"] = call["id"] or part.id or ""
                    if part.function is not None:
                        call["name"] = call["name"] or part.function.name or ""
                        call["arguments"] += part.function.arguments or ""
                finish = choice.finish_reason or finish
        return {"content": text, "tool_calls": [calls[index] for index in sorted(calls)], "finish_reason": finish}

    return parse


def _subjects() -> tuple[dict[str, Parser], list[str]]:
    """Return the parsers by name, and notes about those that are missing."""
    found: dict[str, Parser] = {"streamkit's reader": reader, "a loop of 40 lines": chat_right.docs_loop}
    try:
        found["openai's Stream"] = openai_stream()
    except ImportError as error:
        return found, [f"openai's Stream is missing here: {error}"]
    return found, []


# -- the clocks


@dataclass
class Clocks:
    """Seconds by what is under way. What is begun inside of something else stops that one's clock."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    under_way: list[str] = field(default_factory=list)
    since: float = 0.0

    def begin(self, name: str) -> None:
        now = time.perf_counter()
        if self.under_way:
            self.seconds[self.under_way[-1]] += now - self.since
        self.under_way.append(name)
        self.since = time.perf_counter()

    def end(self) -> None:
        now = time.perf_counter()
        self.seconds[self.under_way.pop()] += now - self.since
        self.since = time.perf_counter()

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with its clock."""

        def clocked(*arguments: Any, **options: Any) -> Any:
            self.begin(name)
            try:
                return call(*arguments, **options)
            finally:
                self.end()

        return clocked

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Attach the clocks to streamkit: to its phases, and to the drawing with what it calls back."""
        draw = drawn._draw

        def clocked_draw(strategy: Any, attempt: Callable[[Any], None], examples: int, seed: int) -> None:
            look = self.around(self.under_way[-1], attempt)

            def clocked_attempt(one: Any) -> None:  # Hypothesis looks at its signature
                look(one)

            self.around("hypothesis", draw)(strategy, clocked_attempt, examples, seed)

        with ExitStack() as patches:
            for method, phase in _PHASES.items():
                call = getattr(Search, method)
                # A method must stay a function, so that it is bound.
                patches.enter_context(patch.object(Search, method, self.around(phase, call)))
            patches.enter_context(patch.object(drawn, "_draw", clocked_draw))
            patches.enter_context(patch.object(Applied, "body", self.around("mutated", Applied.body)))
            made = self.around("mutated", strategies._fragmentations)
            patches.enter_context(patch.object(strategies, "_fragmentations", made))
            yield


def clocked(parser: Parser, options: Options, stream: str = _STREAM) -> tuple[Report, dict[str, float]]:
    """Run a campaign on a stream; return its report, and the seconds by what they were spent on."""
    clocks = Clocks()
    target = clocks.around("target", parser)

    def parse(chunks: Iterable[bytes]) -> Any:
        return target(chunks)

    with clocks.attached():
        run = clocks.around("other", partial(fuzz, parse, stream, options=options))
        report: Report = run()
    return report, dict(clocks.seconds)


# -- the bare loop


def bare(parser: Parser, body: bytes, examples: int) -> int:
    """Hand sets of cuts that Hypothesis draws to a parser, and compare; return how many were drawn."""
    wanted = parser(iter([body]))
    count = 0

    @hypothesis.settings(
        max_examples=examples, database=None, deadline=None, derandomize=True, verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @hypothesis.given(st.sets(st.integers(1, len(body) - 1)))
    def test(cuts: set[int]) -> None:
        nonlocal count
        count += 1
        edges = [0, *sorted(cuts), len(body)]
        assert wanted == parser(iter([body[one:other] for one, other in pairwise(edges)]))

    test()
    return count


# -- the tables


def tables(
    rounds: int, options: Options | None = None, drawn_bare: int | None = None, stream: str = _STREAM
) -> list[Table]:
    """Measure.

    Args:
        rounds: how often each campaign is run.
        options: of a campaign, in place of the usual ones.
        drawn_bare: how many sets of cuts the bare loop draws; as many as the campaign makes cases where None.
        stream: the name of the transcript.
    """
    subjects, missing = _subjects()
    body = load(stream).body
    speed = Table(f"Cases a second on {stream}", ("check", "bare Hypothesis", "the parser alone"))
    shares = Table("Where the time of a campaign goes, %", ("target", "hypothesis", "streamkit"))
    own = Table("What a delivery costs beside target and drawing, us", ("single cut", "drawn", "mutated", "all"))
    for table in (speed, shares, own):
        table.notes += missing
    usual = {"": options or Options(), " with dialects and faults": options or Options(dialects=True, faults=True)}
    for name, parser in subjects.items():
        for what, chosen in usual.items():
            _measure(name + what, partial(clocked, parser, chosen, stream), rounds, shares, own)
        campaign = partial(fuzz, parser, stream, options=usual[""])
        alone = partial(_alone, parser, body)
        examples = campaign().cases if drawn_bare is None else drawn_bare
        _compare(name, campaign, partial(bare, parser, body, examples), alone, rounds, speed)
    speed.notes.append(f"Hypothesis {hypothesis.__version__}, no database, the parser called with a set of cuts")
    shares.notes.append("the drawing is Hypothesis's engine and strategies; edits and verdicts are streamkit's")
    return [speed, shares, own]


def _alone(parser: Parser, body: bytes) -> Any:
    return parser(iter([body]))


def _measure(
    name: str, campaign: Callable[[], tuple[Report, dict[str, float]]], rounds: int, shares: Table, own: Table
) -> None:
    """Add the rows of one campaign: medians of the rounds."""
    found = [campaign() for _ in range(rounds + 1)][1:]  # the first loads and learns a lot
    report = found[0][0]
    seconds = {key: statistics.median(one.get(key, 0.0) for _, one in found) for key in ("target", "hypothesis", *_OWN)}
    ours = sum(seconds[key] for key in _OWN)
    total = seconds["target"] + seconds["hypothesis"] + ours
    shares.rows[name] = [100 * part / total for part in (seconds["target"], seconds["hypothesis"], ours)]
    shares.ratios[f"{name}: streamkit / all"] = ours / total
    phases = report.coverage[0].phases
    most = {"single cuts": phases.get("single cuts", 0), "drawn": phases.get("drawn", 0)}
    most["mutated"] = report.cases - sum(phases.get(one, 0) for one in ("recorded", "prelude", "single cuts", "drawn"))
    each = [1e6 * seconds[phase] / count if count else None for phase, count in most.items()]
    own.rows[name] = [*each, 1e6 * ours / report.cases]


def _compare(
    name: str, campaign: Callable[[], Report], loop: Callable[[], int], alone: Callable[[], object], rounds: int,
    speed: Table,
) -> None:  # fmt: skip
    """Add the row of one parser: the campaign without clocks beside the bare loop and the parser alone."""
    cases, drawn_cases = campaign().cases, loop()
    seconds = interleaved({"check": campaign, "bare": loop, "alone": alone}, rounds)
    check, plain = cases / seconds["check"], drawn_cases / seconds["bare"]
    speed.rows[name] = [check, plain, 1 / seconds["alone"]]
    speed.ratios[f"{name}: check / bare Hypothesis"] = check / plain
