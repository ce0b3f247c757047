"""Record a real server through the proxy, and replay it when the server is gone. One command, from nothing:

    python tests/recording/llama_cpp_server.py

It makes an environment with llama-cpp-python (which is compiled, in six minutes or so, the first time), a model of half
a megabyte with random weights, starts `python -m llama_cpp.server` with it and `streamkit record` before it, asks for a
text and for a call of a tool with the real openai client, ends the server, and asks again: by the same client, out of
the cassette. What came the first time must come the second, event by event.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

NEEDED = ("llama-cpp-python[server]", "gguf")
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Oslo", "東京", "São Paulo"]},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
        },
    },
}
ASKED: list[Any] = [{"role": "user", "content": "What is the weather like in Oslo?"}]
REQUESTS: dict[str, dict[str, Any]] = {
    "a text": {"max_tokens": 40},
    "a call of a tool": {
        "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}, "max_tokens": 200,
    },
}  # fmt: skip

# -- the model


def make_model(
    path: str,
    more: Sequence[str] = (),
    favoured: Mapping[str, float] | None = None,
    script: Sequence[str] = (),
    context: int = 1024,
) -> None:
    """Write a model of the Llama architecture with random weights; runs where `gguf` is installed.

    Args:
        path: of the file.
        more: further tokens of the vocabulary.
        favoured: tokens that the model prefers wherever they may come, and how much.
        script: what the model says, whatever it is asked, and then ends: fewer than sixty tokens, no two of them alike.
        context: how many tokens it takes.
    """
    gguf, np = import_module("gguf"), import_module("numpy")  # of the server's own environment

    size, inner, layers, heads = 64, 128, 2, 4
    words = [
        " the",
        " weather",
        " in",
        " is",
        " and",
        "Oslo",
        " sunny",
        " 7",
        "°C",
        "東京",
        " São",
        " Paulo",
        "🌤️",
        "\n",
    ]
    tokens = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
    tokens += [(f"<0x{byte:02X}>", 6) for byte in range(256)]
    tokens += [(word.replace(" ", "▁"), 1) for word in words if word not in script]
    tokens += [(word, 1) for word in more]
    tokens += [(word.replace(" ", "▁"), 1) for word in script]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(size)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(size // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text.encode() for text, _ in tokens])
    writer.add_token_scores([0.0 if kind != 1 else -float(number) for number, (_, kind) in enumerate(tokens)])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)  # or the set-up of grammars fails
    random = np.random.default_rng(1)

    def add(name: str, *shape: int) -> None:
        weights = random.normal(0, 0.4, shape).astype(np.float32)
        if favoured and name == "token_embd.weight":
            weights[:, 0] = 2000  # the same for every token, and more than the layers add to it
        if favoured and name == "output.weight":
            weights[:, 0] = 0
            for number, (text, _) in enumerate(tokens):
                weights[number, 0] = favoured.get(text, 0)
        if script and name in ("token_embd.weight", "output.weight"):
            lines = list(range(len(tokens) - len(script), len(tokens)))  # each has a dimension that calls for it
            weights[:, 1 : 2 + len(script)] = 0
            if name == "token_embd.weight":
                weights[:, 1] = 2000  # the first comes after any token, and each next one after the one before
                weights[lines, 1] = 0
                weights[lines, range(2, 2 + len(script))] = 2000
            else:
                weights[[*lines, 2], range(1, 2 + len(script))] = 8  # the last one calls for the end
        writer.add_tensor(name, weights)

    def add_norm(name: str) -> None:
        writer.add_tensor(name, np.ones(size, dtype=np.float32))

    add("token_embd.weight", len(tokens), size)
    add_norm("output_norm.weight")
    add("output.weight", len(tokens), size)
    for layer in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}.weight", size, size)
        for name, shape in (("ffn_gate", (inner, size)), ("ffn_up", (inner, size)), ("ffn_down", (size, inner))):
            add(f"blk.{layer}.{name}.weight", *shape)
        add_norm(f"blk.{layer}.attn_norm.weight")
        add_norm(f"blk.{layer}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# -- the server


def environment(folder: Path) -> Path:
    """Return the Python of an environment that has the server; it is made where it is not there yet."""
    place = folder / "environment"
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    probe = [str(python), "-c", "import llama_cpp.server, gguf"]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False).returncode:
        print(f"making {place}, with {', '.join(NEEDED)}: some minutes")
        venv.create(place, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *NEEDED], check=True)
    return python


@contextmanager
def server(python: Path, model: Path, log: Path) -> Iterator[str]:
    """Run the server; give its URL when it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(python), "-m", "llama_cpp.server", "--model", str(model), "--host", "127.0.0.1", "--port", str(port),
               "--n_ctx", "1024", "--seed", "1", "--n_threads", "1"]  # fmt: skip
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as running:
        try:
            until = time.monotonic() + 120
            while not _answers(f"http://127.0.0.1:{port}/v1/models"):
                if running.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the server did not start; see {log}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - a server of our own
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def proxy(upstream: str, cassette: Path, log: Path) -> Iterator[str]:
    """Run `streamkit record`; give its URL."""
    command = [sys.executable, "-m", "streamkit", "record", "--upstream", upstream, "--cassette", str(cassette),
               "--record-mode", "rewrite", "--log", str(log)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        try:
            if not line.startswith("listening on "):
                raise SystemExit("streamkit record did not start")
            yield line.removeprefix("listening on ").strip()
        finally:
            running.terminate()
            print(running.stdout.read().strip())
            running.wait(20)


# -- the client


def ask(base_url: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the real client yields for one request."""
    import openai

    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=120) as client:
        stream = client.chat.completions.create(
            model="random", messages=ASKED, stream=True, temperature=0.7, seed=1, **options
        )
        return [chunk.model_dump() for chunk in stream]


def said(chunks: list[dict[str, Any]]) -> str:
    """Return the text, or the call, in what a client yielded."""
    text, arguments = "", ""
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        text += choice["delta"].get("content") or ""
        for call in choice["delta"].get("tool_calls") or []:
            arguments += call["function"].get("arguments") or ""
    return f"get_weather({json.loads(arguments)})" if arguments else repr(text)


def main() -> int:
    """Do it; return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    place = Path(tempfile.gettempdir()) / "streamkit-llama-cpp"
    parser.add_argument("--folder", type=Path, default=place, help=f"for environment, model and cassette ({place})")
    parser.add_argument("--python", type=Path, help="a Python that has the server already")
    parser.add_argument("--make-model", metavar="PATH", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make_model:
        make_model(given.make_model)
        return 0
    folder: Path = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    python = given.python or environment(folder)
    model, cassette, log = folder / "random.gguf", folder / "llama_cpp_server.yaml", folder / "record.jsonl"
    subprocess.run([str(python), str(Path(__file__).resolve()), "--make-model", str(model)], check=True)
    log.unlink(missing_ok=True)
    with server(python, model, folder / "server.log") as upstream, proxy(upstream, cassette, log) as url:
        live = {name: ask(f"{url}/v1", options) for name, options in REQUESTS.items()}
    if _answers(f"{upstream}/v1/models"):
        raise SystemExit("the server is still there")
    return compare(upstream, cassette, live)


def compare(upstream: str, cassette: Path, live: dict[str, list[dict[str, Any]]]) -> int:
    """Replay the cassette, and tell what was recorded; return an exit code."""
    import streamkit
    from streamkit.cassettes import load_cassette

    recorded = load_cassette(cassette).transcripts
    failed = [] if len(recorded) == len(live) else [f"{len(recorded)} interactions for {len(live)} requests"]
    with streamkit.use_cassette(cassette, record_mode="none"):
        again = {name: ask(f"{upstream}/v1", options) for name, options in REQUESTS.items()}
    for (name, chunks), one in zip(live.items(), recorded, strict=False):
        print(f"{name}: {len(one.body)} bytes in {len(one.lengths)} HTTP chunks over {one.times[-1]} ms, "
              f"{one.ending}, {one.dialect}; {len(chunks)} events for the client: {said(chunks)}")  # fmt: skip
        if chunks != again[name]:
            failed.append(f"{name}: the replay gave {len(again[name])} other events")
        if one.ending != "complete" or one.dialect != "openai_chat":
            failed.append(f"{name}: recorded as {one.ending}, {one.dialect}")
    print(f"replayed without the server: {'the same' if not failed else '; '.join(failed)}")
    if re.search(rb"Bearer (?!REDACTED)", cassette.read_bytes()):
        failed.append("there is a credential in the cassette")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
