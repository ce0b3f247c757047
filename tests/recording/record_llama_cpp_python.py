"""Record llama-cpp-python's server with a model of random weights. One command, from nothing:

    python tests/recording/record_llama_cpp_python.py

The first time the package is compiled, in six minutes or so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from llama_cpp_server import NEEDED
from recorders import View, arguments, environment, free_port, recorder, running, versions
from views import joined, openai_chat, openai_completions, raised_by

FOLDER = "llama_cpp_python"
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"at": {"type": "string", "enum": ["Oslo", "東京"]}},
    "required": ["at"],
}
FUNCTION: dict[str, Any] = {"name": "weather", "description": "The weather in a city.", "parameters": PARAMETERS}
TOOLS: list[Any] = [{"type": "function", "function": FUNCTION}]
FORCED: dict[str, Any] = {"type": "function", "function": {"name": "weather"}}
RANDOM: dict[str, Any] = {"model": "random", "temperature": 0.7, "seed": 1}
SHORT: dict[str, Any] = {**RANDOM, "max_tokens": 14}

CHATS: dict[str, dict[str, Any]] = {
    "text": SHORT,
    "text_other_seed": {**SHORT, "seed": 7, "temperature": 1.2},
    "usage_asked_and_not_sent": {**SHORT, "max_tokens": 8, "stream_options": {"include_usage": True}},
    "forced_call": {**RANDOM, "max_tokens": 60, "tools": TOOLS, "tool_choice": FORCED},
    "forced_call_other_city": {**RANDOM, "seed": 3, "max_tokens": 60, "tools": TOOLS, "tool_choice": FORCED},
    "forced_call_cut_by_length": {**RANDOM, "max_tokens": 5, "tools": TOOLS, "tool_choice": FORCED},
    "legacy_function_call": {**RANDOM, "max_tokens": 60, "functions": [FUNCTION], "function_call": {"name": "weather"}},
    "json_object": {**RANDOM, "max_tokens": 60, "response_format": {"type": "json_object", "schema": PARAMETERS}},
    "logprobs": {**SHORT, "max_tokens": 6, "logprobs": True, "top_logprobs": 2},
}  # fmt: skip
COMPLETIONS: dict[str, dict[str, Any]] = {
    "completions_text": {**SHORT, "prompt": "The weather in Oslo is"},
    "completions_logprobs": {**SHORT, "max_tokens": 6, "prompt": "The weather in Oslo is", "logprobs": 2},
}


def interrupted(url: str, upstream: str) -> View:
    """Ask for a long text, and when it has begun ask again beside the proxy: the server breaks the first off.

    It is httpx that asks, for the openai client stops reading at `[DONE]` and does not see how the body ends.
    """
    import httpx

    chunks: list[dict[str, Any]] = []
    raised, done = None, False
    client = httpx.Client(timeout=120)  # made beforehand, for the answer shall not grow long meanwhile
    client.get(f"{upstream}/v1/models")
    again = {**RANDOM, "prompt": "Oslo", "max_tokens": 2}
    second = threading.Thread(
        target=client.post, args=(f"{upstream}/v1/completions",), kwargs={"json": again}, daemon=True
    )
    asked = {**RANDOM, "max_tokens": 900, "stream": True, "messages": [{"role": "user", "content": "Tell me all."}]}
    try:
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=asked, timeout=120) as response:
            for line in response.iter_lines():
                if line == "data: [DONE]":
                    done = True
                elif line:
                    chunks.append(json.loads(line.removeprefix("data: ")))
                    if second.ident is None:
                        second.start()
    except httpx.HTTPError as error:
        raised = raised_by(error)
    second.join(60)
    client.close()
    if not done:
        raise SystemExit("the server has answered in another way than expected")
    return {"by": f"httpx {httpx.__version__}, a loop over the lines", "raised": raised, **joined(chunks)}


def main() -> int:
    """Do it; return an exit code."""
    given = arguments(__doc__ or "", "llama-cpp-python[server] and gguf")
    python = given.python or environment(given.folder / FOLDER, NEEDED, "llama_cpp.server, gguf")
    model = given.folder / "random.gguf"
    given.folder.mkdir(parents=True, exist_ok=True)
    maker = Path(__file__).with_name("llama_cpp_server.py")
    subprocess.run([str(python), str(maker), "--make-model", str(model)], check=True)
    upstream = f"http://127.0.0.1:{free_port()}"
    command = [
        str(python), "-m", "llama_cpp.server", "--model", str(model), "--model_alias", "random", "--host", "127.0.0.1",
        "--port", upstream.rpartition(":")[2], "--n_ctx", "1024", "--seed", "1", "--n_threads", "1",
        "--logits_all", "true",
    ]  # fmt: skip
    record = recorder(
        given, __file__, folder=FOLDER, server=versions(python, "llama-cpp-python"), upstream=upstream,
        neutral="http://llama-cpp-python.test", about="with a model of random weights",
    )  # fmt: skip
    with running(command, f"{upstream}/v1/models", given.folder / f"{FOLDER}.log"):
        for name, request in CHATS.items():
            record.record(name, lambda url, request=request: openai_chat(url, request))  # type: ignore[misc]
        for name, request in COMPLETIONS.items():
            record.record(name, lambda url, request=request: openai_completions(url, request))  # type: ignore[misc]
        record.record(
            "closed_by_client", lambda url: openai_chat(url, {**RANDOM, "max_tokens": 200}, take=6),
            error="TruncatedStreamError", about="the client closed the stream after some chunks",
        )  # fmt: skip
        long = "Oslo " * 1100
        record.record(
            "prompt_too_long", lambda url: openai_completions(url, {**SHORT, "prompt": long}),
            error="TruncatedStreamError", dialect="openai_completions",
            about="the prompt is longer than the context: a status of 200 and no body",
        )  # fmt: skip
        record.record(
            "interrupted_by_another_request", lambda url: interrupted(url, upstream),
            about="a second request made the server break this answer off: [DONE] without a finish reason",
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
