"""Record llama.cpp's own server, built from the sources that llama-cpp-python brings. One command, from nothing:

    python tests/recording/record_llama_server.py

It needs a C++ compiler, and some ten minutes the first time.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from record_llama_cpp_python import FORCED, PARAMETERS, TOOLS
from recorders import Recorder, View, arguments, environment, free_port, recorder, running
from views import (
    QUESTION,
    anthropic_messages,
    openai_chat,
    openai_completions,
    openai_responses,
    raised_by,
)

FOLDER = "llama_server"
NEEDED = ("cmake", "ninja", "gguf")
OFF = ("BUILD_TESTS", "BUILD_EXAMPLES", "BUILD_APP", "BUILD_UI", "OPENSSL", "CURL")
#: A call begins with this token.
OPENER = "<tool_call>\n"
RANDOM: dict[str, Any] = {"model": "random", "temperature": 0.7, "seed": 1}
SHORT: dict[str, Any] = {**RANDOM, "max_tokens": 10}
USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
CALL: dict[str, Any] = {"model": "random", "temperature": 0, "max_tokens": 120, "tools": TOOLS}
ONE: dict[str, Any] = {"tool_choice": "required", "parallel_tool_calls": False}

CHATS: dict[str, dict[str, Any]] = {
    "text": SHORT,
    "text_usage": {**SHORT, **USAGE},
    "logprobs": {**SHORT, "max_tokens": 5, "logprobs": True, "top_logprobs": 2},
    "two_choices": {**SHORT, "max_tokens": 5, "n": 2},
}
NAMED = "call_named_and_not_made"
CALLS: dict[str, dict[str, Any]] = {
    NAMED: {**CALL, "tool_choice": FORCED},
    "forced_call": {**CALL, **ONE},
    "forced_call_usage": {**CALL, **ONE, **USAGE},
    "call_cut_by_length": {**CALL, **ONE, "max_tokens": 28},
}
#: What a reasoning model says first, as Qwen3 writes it; a part is a token.
THOUGHT = ("<think>\n", "The user", " asks", " for", " Oslo", ".\n", "</think>", "\n\n")
_NO_SPACE = dict.fromkeys(("\n", "<0x0A>", "<0x09>", "<0x20>", "<0x0D>"), -40)  # a grammar allows it everywhere
#: What the models prefer: nothing; to end, which a grammar allows after a call; or one call after the other.
MODELS: dict[str, dict[str, Any]] = {
    "text": {},
    "call": {"more": [OPENER, "</tool_call>"], "favoured": {OPENER: 40, "</s>": 400, **_NO_SPACE}},
    "calls": {"more": [OPENER, "</tool_call>"], "favoured": {OPENER: 60, "</s>": 40, **_NO_SPACE}},
    "reasoning": {"script": [*THOUGHT, "It", " rains", ": 🌧️", " 7", "°C"]},
    "reasoning_call": {
        "script": [*THOUGHT, "I look", " it up", "!\n", OPENER, '{"name": "weather", ', '"arguments": ', '{"at": "',
                   "東京", '"}', "}", "\n</tool_call>"],
    },
    "slow": {"context": 8192},
}  # fmt: skip


def sources(folder: Path, python: Path) -> Path:
    """Return the folder of the sources; they are fetched where they are not there yet."""
    for found in folder.glob("llama_cpp_python-*/vendor/llama.cpp"):
        return found
    pip = [str(python), "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, "llama-cpp-python"], check=True)
    (archive,) = folder.glob("llama_cpp_python-*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extraction_filter = getattr(tarfile, "data_filter", None)  # came with Python 3.11.4
        opened.extractall(folder)  # noqa: S202 - of the registry's package, which is about to be built and run
    return folder / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"


def build(folder: Path, python: Path, source: Path) -> Path:
    """Return the server's binary; it is built where it is not there yet."""
    binary = folder / "build" / "bin" / "llama-server"
    if binary.exists():
        return binary
    cmake = str(python.with_name("cmake"))
    subprocess.run(
        [cmake, "-G", "Ninja", "-S", str(source), "-B", str(folder / "build"), "-DCMAKE_BUILD_TYPE=Release",
         f"-DCMAKE_MAKE_PROGRAM={python.with_name('ninja')}", "-DCMAKE_CXX_FLAGS_RELEASE=-O1",
         "-DCMAKE_C_FLAGS_RELEASE=-O1", "-DBUILD_SHARED_LIBS=OFF", *(f"-DLLAMA_{name}=OFF" for name in OFF)],
        check=True,
    )  # fmt: skip
    subprocess.run([cmake, "--build", str(folder / "build"), "--target", "llama-server", "-j", "2"], check=True)
    return binary


def native(url: str) -> View:
    """Ask for a completion of the server's own API."""
    import httpx

    content, raised = "", None
    asked = {"prompt": "The weather in Oslo is", "n_predict": 6, "seed": 1, "stream": True}
    try:
        with httpx.stream("POST", f"{url}/completion", json=asked, timeout=120) as response:
            for line in response.iter_lines():
                if line.startswith("data: "):
                    content += json.loads(line.removeprefix("data: "))["content"]
    except httpx.HTTPError as error:
        raised = raised_by(error)
    choices = [{"content": content, "calls": []}]
    return {
        "by": f"httpx {httpx.__version__}, a loop over the lines",
        "raised": raised,
        "choices": choices,
        "usage": None,
    }


def texts(record: Recorder) -> None:
    """Record what has no calls."""
    for name, request in CHATS.items():
        record.record(name, lambda url, request=request: openai_chat(url, request))  # type: ignore[misc]
    asked = {**SHORT, "prompt": "The weather in Oslo is"}
    record.record("completions_text", lambda url: openai_completions(url, asked))
    record.record("completions_usage", lambda url: openai_completions(url, {**asked, **USAGE}))
    record.record("native_completion", native, about="of its own API, which is no dialect of streamkit")
    record.record("messages_text", lambda url: anthropic_messages(url, {"model": "random", "max_tokens": 8}))
    responses = {"model": "random", "max_output_tokens": 8, "input": QUESTION, "temperature": 0.7}
    record.record("responses_text", lambda url: openai_responses(url, responses))
    record.record(
        "closed_by_client", lambda url: openai_chat(url, {**RANDOM, "max_tokens": 900}, take=6),
        error="TruncatedStreamError", about="the client closed the stream after some chunks",
    )  # fmt: skip


def many_calls(record: Recorder) -> None:
    """Record two calls; to ask for no parallel calls does not keep this server from them."""
    asked = {**CALL, "tool_choice": "required", "max_tokens": 90}
    record.record("parallel_calls", lambda url: openai_chat(url, asked))
    record.record(
        "parallel_calls_unasked", lambda url: openai_chat(url, {**asked, "parallel_tool_calls": False}),
        about="the request says that there shall be no parallel calls",
    )  # fmt: skip


def one_call(record: Recorder) -> None:
    """Record calls."""
    for name, request in CALLS.items():
        about = "the request names the function, and this server reads it as `auto`" if name == NAMED else ""
        record.record(name, lambda url, request=request: openai_chat(url, request), about=about)  # type: ignore[misc]
    tool = {"name": "weather", "description": "The weather.", "input_schema": PARAMETERS}
    message = {
        "model": "random", "max_tokens": 120, "tools": [tool],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "extra_body": {"temperature": 0},
    }  # fmt: skip
    record.record(
        "messages_calls_cut_by_length", lambda url: anthropic_messages(url, message),
        about="the request says that there shall be no parallel calls",
    )  # fmt: skip
    function = {"type": "function", "name": "weather", "parameters": PARAMETERS}
    response = {
        "model": "random", "max_output_tokens": 120, "input": QUESTION, "tools": [function], **ONE,
        "temperature": 0,
    }  # fmt: skip
    record.record("responses_forced_call", lambda url: openai_responses(url, response))


def reasoning(record: Recorder) -> None:
    """Record reasoning and a text."""
    asked = {"model": "random", "temperature": 0}
    record.record("reasoning", lambda url: openai_chat(url, asked))
    message = {"model": "random", "max_tokens": 60}
    record.record("messages_thinking", lambda url: anthropic_messages(url, message))
    record.record("responses_reasoning", lambda url: openai_responses(url, {**asked, "input": QUESTION}))


def reasoning_call(record: Recorder) -> None:
    """Record reasoning, a text and a call."""
    asked = {"model": "random", "temperature": 0}
    record.record("reasoning_and_call", lambda url: openai_chat(url, {**asked, "tools": TOOLS}))
    tool = {"name": "weather", "description": "The weather.", "input_schema": PARAMETERS}
    message = {"model": "random", "max_tokens": 60, "tools": [tool]}
    record.record("messages_thinking_and_call", lambda url: anthropic_messages(url, message))
    function = {"type": "function", "name": "weather", "parameters": PARAMETERS}
    response = {**asked, "input": QUESTION, "tools": [function]}
    record.record("responses_reasoning_and_call", lambda url: openai_responses(url, response))


def slow(record: Recorder) -> None:
    """Record an answer to a long prompt, read token by token: this server then sends pings before the first event."""
    messages = [{"role": "user", "content": "Oslo " * 600}]
    record.record(
        "pings_before_the_first_event", lambda url: openai_chat(url, {**SHORT, "messages": messages}),
        about="it reads the prompt token by token, and its pings are empty comments", holds=b":\n\n:\n\n",
    )  # fmt: skip


#: What is recorded with each model.
PLANS = {
    "text": texts, "call": one_call, "calls": many_calls, "reasoning": reasoning, "reasoning_call": reasoning_call,
    "slow": slow,
}  # fmt: skip


def main() -> int:
    """Do it; return an exit code."""
    given = arguments(
        __doc__ or "", "gguf, cmake and ninja", binary="llama-server, built", source="the folder of llama.cpp's sources"
    )
    place = given.folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    python = given.python or environment(place / "environment", NEEDED, "gguf, cmake, ninja")
    source = given.source or sources(place, python)
    binary = given.binary or build(place, python, source)
    templates = source / "models" / "templates"
    shown = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True)
    (version,) = re.findall(r"version: (\S+)", shown.stderr + shown.stdout)
    maker = str(Path(__file__).with_name("make_model.py"))
    for name, options in MODELS.items():
        subprocess.run([str(python), maker, str(place / f"{name}.gguf"), json.dumps(options)], check=True)
        upstream = f"http://127.0.0.1:{free_port()}"
        template = "Qwen-Qwen3-0.6B.jinja" if "script" in options else "Qwen-Qwen2.5-7B-Instruct.jinja"
        command = [
            str(binary), "--model", str(place / f"{name}.gguf"), "--alias", "random", "--host", "127.0.0.1",
            "--port", upstream.rpartition(":")[2], "--ctx-size", str(options.get("context", 2048)), "--threads", "1",
            "--parallel", "1" if name == "slow" else "2", "--no-warmup", "--sse-ping-interval", "1", "--jinja",
            "--chat-template-file", str(templates / template),
            *(("--batch-size", "64", "--ubatch-size", "1") if name == "slow" else ()),
        ]  # fmt: skip
        record = recorder(
            given, __file__, folder=FOLDER, server=f"llama.cpp {version}", upstream=upstream,
            neutral="http://llama-server.test",
            about=f"with a model {'that says a script' if 'script' in options else 'of random weights'}",
        )  # fmt: skip
        with running(command, f"{upstream}/health", given.folder / f"{FOLDER}_{name}.log"):
            PLANS[name](record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
