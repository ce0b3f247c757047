"""Record `transformers serve` with models that are made on the spot. One command, from nothing (1.2 GB):

    python tests/recording/record_transformers.py

The models are one layer of Qwen2. Two say a script, token by token, whatever is asked: a text, and a call of a tool as
Qwen writes it; what the server makes of that is its own doing. The third has random weights.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from record_llama_cpp_python import PARAMETERS, TOOLS
from recorders import Recorder, arguments, environment, free_port, recorder, running, versions
from views import QUESTION, openai_chat, openai_completions, openai_responses

FOLDER = "transformers_serve"
#: What the models say; each part between bars is a token.
MODELS = {
    "demo-text": "Rain| in |東京|: 🌤|️ 21| degrees",
    "demo-call": '<tool_call>|{"name": "weather"|, "arguments": |{"at": "|Os|lo"}|}|</tool_call>',
    "demo-bad-call": '<tool_call>|{"name": "weather"|, "arguments": |{"at": Oslo|}|</tool_call>',
    "demo-random": "",
}
FUNCTION: dict[str, Any] = {"type": "function", "name": "weather", "parameters": PARAMETERS}


def record_all(record: Recorder, model: str) -> None:
    """Record what one model is asked."""
    chat: dict[str, Any] = {"model": model, "max_tokens": 24}

    def ask(name: str, error: str = "", about: str = "", **request: Any) -> None:
        record.record(name, lambda url: openai_chat(url, {**chat, **request}), error=error, about=about)

    if model == "demo-text":
        ask("text")
        ask("text_cut_by_length", max_tokens=3)
        record.record("completions_text", lambda url: openai_completions(url, {**chat, "prompt": "Hello\n"}))
        record.record("responses_text", lambda url: openai_responses(url, {"model": model, "input": QUESTION}))
    elif model == "demo-call":
        ask("call", tools=TOOLS)
        ask("call_cut_by_length", tools=TOOLS, max_tokens=5)
        asked = {"model": model, "input": QUESTION, "tools": [FUNCTION]}
        record.record("responses_call", lambda url: openai_responses(url, asked))
    elif model == "demo-bad-call":
        ask("call_that_is_not_json", "PayloadError", "its error is not JSON itself", tools=TOOLS)
    else:
        ask("random_bytes", max_tokens=12)


def main() -> int:
    """Do it; return an exit code."""
    given = arguments(__doc__ or "", "transformers[serving] and torch")
    place = given.folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    python = given.python or environment(
        place / "environment", ("torch", "transformers[serving]"), "transformers, torch, fastapi"
    )
    maker = str(Path(__file__).with_name("make_transformers_model.py"))
    for model, script in MODELS.items():
        subprocess.run([str(python), maker, str(place / model), script], check=True)
        upstream = f"http://127.0.0.1:{free_port()}"
        command = [
            str(python.with_name("transformers")), "serve", model, "--host", "127.0.0.1",
            "--port", upstream.rpartition(":")[2], "--device", "cpu", "--default-seed", "1",
        ]  # fmt: skip
        record = recorder(
            given, __file__, folder=FOLDER, server=versions(python, "transformers"), upstream=upstream,
            neutral="http://transformers-serve.test",
            about="with a model of random weights" if not script else "with a model that says a script",
        )  # fmt: skip
        log, offline = given.folder / f"{FOLDER}_{model}.log", {"HF_HUB_OFFLINE": "1"}
        with running(command, f"{upstream}/health", log, variables=offline, folder=place):
            record_all(record, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
