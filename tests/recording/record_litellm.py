"""Record LiteLLM's proxy: its mock answers, and what it makes of llama-cpp-python's server and of a broken upstream.

One command, from nothing; the first time llama-cpp-python is compiled, in six minutes or so:

    python tests/recording/record_litellm.py
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from llama_cpp_server import NEEDED
from record_llama_cpp_python import FORCED, PARAMETERS, TOOLS
from recorders import arguments, environment, free_port, recorder, running, versions
from views import QUESTION, anthropic_messages, openai_chat, openai_responses, plain_messages

FOLDER = "litellm"
RANDOM: dict[str, Any] = {"model": "random", "temperature": 0.7}
USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
MESSAGES_TOOL: dict[str, Any] = {"name": "weather", "description": "The weather.", "input_schema": PARAMETERS}
RESPONSES_TOOL: dict[str, Any] = {"type": "function", "name": "weather", "parameters": PARAMETERS}


def settings(llama: str, broken: str, at_once: str) -> str:
    """Return the proxy's settings; JSON is YAML."""

    def model(name: str, base: str, provider: str = "openai", **more: Any) -> dict[str, Any]:
        given = {"model": f"{provider}/random", "api_base": base, "api_key": "none", **more}
        return {"model_name": name, "litellm_params": given}

    # of a provider "openai" it asks for Responses, which llama-cpp-python does not speak; of this one for chat
    chat: dict[str, Any] = {"provider": "hosted_vllm", "use_chat_completions_api": True}

    return json.dumps({
        "model_list": [
            model("random", f"{llama}/v1"), model("translated", f"{llama}/v1", **chat), model("broken", broken),
            model("broken_at_once", at_once), model("unreachable", "http://upstream.invalid/v1"),
            model("broken_translated", broken, **chat), model("mock", f"{llama}/v1", mock_response="Grüße aus 東京 🌤️"),
        ],
        "router_settings": {"disable_cooldowns": True, "num_retries": 0},
    }, ensure_ascii=False)  # fmt: skip


def broken_upstream() -> Any:
    """Return a server whose answer is cut off inside a text, and the base URL of that answer."""
    import streamkit

    stream = streamkit.synthesize("Grüße aus Oslo, es regnet.", token_size=4)
    server = streamkit.server.ReplayServer()
    return server, stream


def main() -> int:
    """Do it; return an exit code."""
    given = arguments(
        __doc__ or "", "litellm[proxy]", llama="a Python that has llama-cpp-python[server] and gguf already"
    )
    python = given.python or environment(given.folder / FOLDER, ("litellm[proxy]",), "litellm, fastapi")
    of_llama = given.llama or environment(given.folder / "llama_cpp_python", NEEDED, "llama_cpp.server, gguf")
    model = given.folder / "random.gguf"
    given.folder.mkdir(parents=True, exist_ok=True)
    maker = Path(__file__).with_name("llama_cpp_server.py")
    subprocess.run([str(of_llama), str(maker), "--make-model", str(model)], check=True)
    llama, upstream = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    llama_command = [
        str(of_llama), "-m", "llama_cpp.server", "--model", str(model), "--model_alias", "random",
        "--host", "127.0.0.1", "--port", llama.rpartition(":")[2], "--n_ctx", "1024", "--seed", "1", "--n_threads", "1",
    ]  # fmt: skip
    key = f"sk-{secrets.token_hex(16)}"
    config = given.folder / "litellm.yaml"
    command = [
        str(python.with_name("litellm")), "--config", str(config), "--host", "127.0.0.1",
        "--port", upstream.rpartition(":")[2], "--num_workers", "1", "--telemetry", "False",
    ]  # fmt: skip
    record = recorder(
        given, __file__, folder=FOLDER, server=versions(python, "litellm"), upstream=upstream,
        neutral="http://litellm.test", dropped=("x-litellm-model-api-base",),
    )  # fmt: skip
    server, stream = broken_upstream()
    variables = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    before = f"before {versions(of_llama, 'llama-cpp-python')} with a model of random weights"
    with (
        server,
        server.offer(stream, "close=500") as offer,
        server.offer(stream, "close=1") as sooner,
        running(llama_command, f"{llama}/v1/models", given.folder / "litellm_llama.log"),
    ):
        config.write_text(settings(llama, offer.base_url, sooner.base_url), "utf-8")
        with running(command, f"{upstream}/health/liveliness", given.folder / "litellm.log", variables=variables):

            def chat(name: str, about: str, error: str = "", **request: Any) -> None:
                record.record(name, lambda url: openai_chat(url, request, key=key), about=about, error=error)

            def messages(name: str, about: str, error: str = "", **request: Any) -> None:
                record.record(name, lambda url: anthropic_messages(url, request, key=key), about=about, error=error)

            def responses(name: str, about: str, error: str = "", **request: Any) -> None:
                record.record(name, lambda url: openai_responses(url, request, key=key), about=about, error=error)

            made = "its own mock answer"
            chat("mock_text", made, model="mock")
            chat("mock_text_usage", made, model="mock", **USAGE)
            chat("chat_text", before, **RANDOM, max_tokens=8, seed=1)
            chat("chat_text_usage", before, **RANDOM, max_tokens=6, seed=1, **USAGE)
            chat("chat_forced_call", before, **RANDOM, max_tokens=60, seed=1, tools=TOOLS, tool_choice=FORCED)
            messages("messages_text", f"translating {before}", model="translated", max_tokens=8)
            asked = {
                "model": "translated", "max_tokens": 60, "tools": [MESSAGES_TOOL],
                "tool_choice": {"type": "tool", "name": "weather"},
            }  # fmt: skip
            record.record(
                "messages_forced_call", lambda url: plain_messages(url, asked, key=key), error="PayloadError",
                about=f"translating {before}; each of that server's deltas became a block, all of one id",
            )  # fmt: skip
            responses(
                "responses_text", f"translating {before}", model="translated", max_output_tokens=8, input=QUESTION
            )
            responses(
                "responses_forced_call", f"translating {before}; after the whole call it failed", "ProviderError",
                model="translated", max_output_tokens=60, input=QUESTION,
                tools=[RESPONSES_TOOL], tool_choice={"type": "function", "name": "weather"},
            )  # fmt: skip
            cut = "before streamkit's replay server, which closed the connection in the middle"
            chat("upstream_cut", cut, "ProviderError", model="broken")
            messages("messages_upstream_cut", cut, "ProviderError", model="broken_translated", max_tokens=99)
            responses("responses_upstream_cut", cut, "ProviderError", model="broken_translated", input=QUESTION)
            at_once = {"model": "broken_at_once", "input": QUESTION}
            record.record(
                "responses_failed_at_once", lambda url: openai_responses(url, at_once, key=key),
                about="before streamkit's replay server, which closed the connection after the first byte",
                error="ProviderError", dialect="openai_responses",
            )  # fmt: skip
            nobody = "before a host that does not exist"
            chat("chat_upstream_unreachable", nobody, model="unreachable")
            messages("messages_upstream_unreachable", nobody, model="unreachable", max_tokens=9)
    return 0


if __name__ == "__main__":
    sys.exit(main())
