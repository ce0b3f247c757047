"""Bytes of an event stream to its final message: our readers beside the openai library's `.stream()` and others.

What is measured is one answer of many deltas, in chunks of 4096 bytes, and per delta. The openai library reads it with
its own client, over a transport that answers with these bytes: its event decoder, its chunks and its accumulator. What
decoding the JSON of the same payloads costs is the floor of everything that reads each payload in full.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from answers import body
from measure import Table, interleaved

from streamkit import dialects

SIZES = (1000, 4000, 16_000, 64_000)
#: Deltas up to which a peer is measured: with log probabilities openai's time grows with the square.
MOST = {
    ("openai", "content"): 64_000, ("openai", "arguments"): 64_000, ("openai", "logprobs"): 1000,
    ("openai", "responses"): 16_000, ("litellm", "content"): 4000, ("litellm", "arguments"): 4000,
    ("litellm", "logprobs"): 1000,
}  # fmt: skip
KINDS = ("content", "arguments", "logprobs", "responses")
CHUNK = 4096
OURS = "streamkit"
NODE = Path(__file__).resolve().parents[1] / "clients" / ".environments" / "openai-node"
Run = Callable[[bytes], str]


def chunked(raw: bytes) -> Iterator[bytes]:
    """Yield a body in chunks."""
    for start in range(0, len(raw), CHUNK):
        yield raw[start : start + CHUNK]


def data_of(raw: bytes) -> list[bytes]:
    """Return the payloads of a body as they stand in it."""
    return [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: {")]


# -- who reads it


def ours(kind: str, raw: bytes) -> str:
    """Read a body with our reader."""
    reader = dialects.get("openai_responses" if kind == "responses" else "openai_chat").reader()
    for chunk in chunked(raw):
        reader.feed(chunk)
    reader.close()
    result = reader.result()
    return result.tool_calls[0].arguments if kind == "arguments" else result.content or ""


def openai_reader(kind: str) -> Run:
    """Return what reads a body with `.stream()` of the openai library."""
    import openai

    httpx: Any = importlib.import_module("httpx2" if int(openai.__version__.split(".")[0]) >= 3 else "httpx")
    bodies: list[bytes] = []

    class Body(httpx.SyncByteStream):  # type: ignore[misc]  # of a module that is chosen here
        def __iter__(self) -> Iterator[bytes]:
            return chunked(bodies[-1])

    def answer(request: Any) -> Any:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = openai.OpenAI(api_key="none", base_url="http://openai.invalid/v1", http_client=http)

    def run(raw: bytes) -> str:
        bodies[:] = [raw]
        if kind == "responses":
            with client.responses.stream(model="synthetic", input="?") as stream:
                return stream.get_final_response().output_text
        with client.chat.completions.stream(model="synthetic", messages=[{"role": "user", "content": "?"}]) as chat:
            message = chat.get_final_completion().choices[0].message
        if kind == "arguments":
            return str(message.tool_calls[0].function.arguments)  # type: ignore[index]  # which has to be there
        return message.content or ""

    return run


def litellm_reader(kind: str) -> Run:
    """Return what joins the payloads of a body with litellm's `stream_chunk_builder`."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network, as it is imported
    import litellm
    from litellm.types.utils import ModelResponseStream

    litellm.suppress_debug_info = True

    def run(raw: bytes) -> str:
        chunks = [ModelResponseStream(**json.loads(data)) for data in data_of(raw)]
        message = litellm.stream_chunk_builder(chunks).choices[0].message
        return str(message.tool_calls[0].function.arguments if kind == "arguments" else message.content)

    return run


def json_reader(module: str) -> Run:
    """Return what decodes the payloads of a body and does nothing with them."""
    found: Any = importlib.import_module(module)
    loads = found.decode if module == "msgspec.json" else found.loads

    def run(raw: bytes) -> str:
        for data in data_of(raw):
            loads(data)
        return ""

    return run


def json_keeper(raw: bytes) -> str:
    """Decode the payloads of a body and keep their log probabilities, as whoever makes a message of them has to."""
    kept = [json.loads(data)["choices"][0]["logprobs"] for data in data_of(raw)]
    return str(len(kept))


def uncollected(run: Run) -> Run:
    """Return a reader that runs while the garbage collector is off, as `timeit` has it."""

    def call(raw: bytes) -> str:
        gc.disable()
        try:
            return run(raw)
        finally:
            gc.enable()

    return call


def peers(kind: str, notes: list[str]) -> dict[str, Run]:
    """Return the peers that are installed, by name with version; a note for each that is not."""
    makers: dict[str, Callable[[str], Run]] = {"openai": openai_reader, "litellm": litellm_reader}
    found = {}
    for name, make in makers.items():
        if (name, kind) not in MOST:
            continue
        try:
            found[f"{name} {version(name)}"] = make(kind)
        except ImportError:
            notes.append(f"{name} is not installed")
    return found


def floors(notes: list[str]) -> dict[str, Run]:
    """Return what decodes JSON alone, by name."""
    found = {}
    for name, module in (("json", "json"), ("orjson", "orjson"), ("msgspec", "msgspec.json")):
        try:
            found[f"floor: {name}"] = json_reader(module)
        except ImportError:
            notes.append(f"{name} is not installed")
    return found


_NODE = """
const [folder, kind, file] = process.argv.slice(1);
const { load } = await import(folder + '/load.mjs');
const { readFileSync } = await import('node:fs');
const OpenAI = (await load('openai')).default;
const raw = readFileSync(file);
const fetch = async () => new Response(new ReadableStream({
  start(controller) {
    for (let at = 0; at < raw.length; at += CHUNK) controller.enqueue(raw.subarray(at, at + CHUNK));
    controller.close();
  },
}), { headers: { 'content-type': 'text/event-stream' } });
const client = new OpenAI({ apiKey: 'none', baseURL: 'http://openai.invalid/v1', fetch });
const run = async () => {
  if (kind === 'responses')
    return (await client.responses.stream({ model: 'm', input: '?' }).finalResponse()).output_text;
  const body = { model: 'm', messages: [{ role: 'user', content: '?' }] };
  const { message } = (await client.chat.completions.stream(body).finalChatCompletion()).choices[0];
  return kind === 'arguments' ? message.tool_calls[0].function.arguments : message.content;
};
await run();
const before = process.cpuUsage();
const text = await run();
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ seconds: (user + system) / 1e6, text }));
""".replace("CHUNK", str(CHUNK))


def in_node(kind: str, file: Path) -> tuple[float, str]:
    """Return the seconds of processor that the openai library for Node takes for a body, once warm, and its text."""
    command = ["node", "--input-type=module", "-e", _NODE, "--", str(NODE), kind, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    found = json.loads(done.stdout)
    return found["seconds"], found["text"]


# -- how long it takes


def agreed(kind: str, readers: Mapping[str, Run], deltas: int = 40) -> str:
    """Return the text that all readers make of a short answer.

    Raises:
        AssertionError: one of them makes another text of it.
    """
    raw = body(kind, deltas)
    text = ours(kind, raw)
    for name, run in readers.items():
        found = run(raw)
        assert found == text, f"{name} reads {found!r}, and not {text!r}"
    return text


def _in_turns(readers: Mapping[str, Run], raw: bytes, rounds: int) -> dict[str, float]:
    """Return the seconds of a call of each, called once a round: for what takes seconds."""
    found: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, run in readers.items():
            began = time.process_time()
            run(raw)
            found[name].append(time.process_time() - began)
    return {name: statistics.median(times) for name, times in found.items()}


def table(kind: str, sizes: Sequence[int], rounds: int, folder: Path) -> Table:
    """Measure one kind of answer.

    Args:
        kind: one of `KINDS`.
        sizes: numbers of deltas.
        rounds: for what is quick; peers take one, or two where they take less than some seconds.
        folder: for files of Node's.
    """
    columns = [f"{size:,}" for size in sizes]
    growth = len(sizes) > 1
    made = Table(f"{kind}: processor time from bytes to final message, us a delta, by number of deltas", columns)
    if growth:
        made.columns = [*columns, "growth"]
    others = peers(kind, made.notes)
    bases = floors(made.notes)
    if kind == "logprobs":
        bases[f"{OURS}, collector off"] = uncollected(partial(ours, kind))
        bases["floor: json, tokens kept"] = json_keeper
        bases["floor: the same, collector off"] = uncollected(json_keeper)
        made.notes.append(
            "the garbage collector goes through all tokens again as they grow in number: hence rows with it off"
        )
    agreed(kind, others)
    gc.collect()
    gc.freeze()  # what the peers have loaded, and is not measured, would be gone through again and again
    found: dict[str, list[float | None]] = {name: [] for name in (OURS, *others, *bases)}
    for size in sizes:
        raw = body(kind, size)
        runs: dict[str, Run] = {OURS: partial(ours, kind), **bases}
        quick = interleaved({name: partial(run, raw) for name, run in runs.items()}, rounds)
        slow = {name: run for name, run in others.items() if size <= MOST[name.split()[0], kind]}
        quick |= _in_turns(slow, raw, 2 if size <= 4000 else 1)
        for name, figures in found.items():
            figures.append(quick[name] / size * 1e6 if name in quick else None)
    gc.unfreeze()
    _add_node(kind, sizes, folder, found, made.notes)
    for name, figures in found.items():
        step = (figures[-2], figures[-1])
        times = None if None in step or not growth else figures[-1] * sizes[-1] / (figures[-2] * sizes[-2])  # type: ignore[operator]
        made.rows[name] = [*figures, times] if growth else figures
    _add_ratios(found, sizes, made)
    made.notes.append(f"chunks of {CHUNK} bytes; a payload is {len(body(kind, 100)) // 100} bytes; synthetic streams")
    made.notes.append("floor: decoding the JSON of the payloads, and nothing else")
    if growth:
        made.notes.append(f"growth: how many times as long {sizes[-1]:,} deltas take as {sizes[-2]:,}")
    if any(None in figures for figures in found.values()):
        made.notes.append("a peer is measured as far as it takes seconds, not minutes")
    return made


def _add_node(
    kind: str, sizes: Sequence[int], folder: Path, found: dict[str, list[float | None]], notes: list[str]
) -> None:
    if not (NODE / "load.mjs").is_file():
        notes.append("the openai library for Node is not installed: python tests/clients/install.py openai-node")
        return
    name = "openai for Node " + json.loads((NODE / "package.json").read_text("utf-8"))["dependencies"]["openai"]
    found[name] = []
    for size in sizes:
        file = folder / f"{kind}-{size}"
        raw = body(kind, size)
        file.write_bytes(raw)
        if kind == "logprobs" and size > 4000:
            found[name].append(None)
            continue
        seconds, text = in_node(kind, file)
        assert text == ours(kind, raw), "Node reads another text"
        found[name].append(seconds / size * 1e6)


def _add_ratios(found: dict[str, list[float | None]], sizes: Sequence[int], made: Table) -> None:
    mine = found[OURS]
    for name, figures in found.items():
        known = [(size, figure, own) for size, figure, own in zip(sizes, figures, mine, strict=True) if figure and own]
        if not name.startswith(OURS) and known:
            size, figure, own = known[-1]
            made.ratios[f"{name} / {OURS}, {size:,} deltas"] = figure / own


def tables(rounds: int, sizes: Sequence[int] = SIZES) -> list[Table]:
    """Measure all kinds of answers."""
    with tempfile.TemporaryDirectory() as folder:
        return [table(kind, sizes, rounds, Path(folder)) for kind in KINDS]
