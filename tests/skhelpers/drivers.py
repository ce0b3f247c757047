"""Drivers for the tests: programs of their own, in Node and in Python, right ones and wrong ones."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

import streamkit
from streamkit.transcript import Transcript

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

#: Reads a stream of chat completions; what a test plants stands in the place of the comments.
_NODE = r"""
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";

appendFileSync("pids", `${process.pid}\n`);
// AT START

async function complete(url, request, id) {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(request) });
  const message = { role: "assistant", content: "", tool_calls: [] };
  let data = [], reason = null, done = false;

  function event(payload) {
    if (done || payload === "[DONE]") return void (done = true);
    const json = JSON.parse(payload);
    if (json.error) throw Object.assign(new Error(json.error.message), { name: "APIError" });
    const choice = json.choices?.[0];
    if (!choice) return;
    reason = choice.finish_reason ?? reason;
    message.content += choice.delta?.content ?? "";
    for (const part of choice.delta?.tool_calls ?? []) {
      const call = (message.tool_calls[part.index] ??= { function: { name: "", arguments: "" } });
      if (part.id) call.id = part.id;
      call.function.name += part.function?.name ?? "";
      call.function.arguments += part.function?.arguments ?? "";
    }
  }

  function line(one) {
    if (one === "") {
      if (data.length) event(data.join("\n"));
      data = [];
    } else if (one === "data" || one.startsWith("data:")) {
      data.push(one.slice(5).replace(/^ /, ""));
    }
  }

  const chunks = [];
  for await (const chunk of response.body) chunks.push(chunk);
  // WITH THE CHUNKS
  const text = new TextDecoder();
  let rest = "";
  function feed(more, last) {
    rest += more;
    for (let end; (end = rest.search(/[\r\n]/)) >= 0; ) {
      if (rest[end] === "\r" && end + 1 === rest.length && !last) break;
      line(rest.slice(0, end));
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
    }
  }
  for (const chunk of chunks) feed(text.decode(chunk, { stream: true }), false);
  feed(text.decode(), true);
  if (!done && reason === null) throw Object.assign(new Error("the stream ended early"), { name: "IncompleteError" });
  return { message, finish_reason: reason };
}

for await (const asked of createInterface({ input: process.stdin })) {
  const { id, url, request } = JSON.parse(asked);
  let answer;
  try {
    answer = { id, result: await complete(url, request, id) };
  } catch (error) {
    answer = { id, error: { type: error.name, message: error.message } };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
"""

#: Decodes each chunk by itself.
CHUNKWISE_UTF8 = "for (const n in chunks) chunks[n] = new TextEncoder().encode(new TextDecoder().decode(chunks[n]));"
#: Looks for the end of an event in each chunk by itself.
CHUNKWISE_EVENTS = r"""
  for (const chunk of chunks)
    for (const block of new TextDecoder().decode(chunk).split("\n\n"))
      if (block.startsWith("data: ") && block.endsWith("}")) event(block.slice(6));
  return { message, finish_reason: reason };
"""
#: The delivery on which a planted fault acts: two chunks, the first of 100 bytes.
AT_100 = "chunks.length === 2 && chunks[0].length === 100"


def node(folder: Path, *, chunks: str = "", start: str = "", name: str = "driver.mjs") -> str:
    """Write a Node driver and return its command, for that folder.

    Args:
        folder: to write it to; each process adds its id to the file `pids` there.
        chunks: what it does with the chunks before it reads them.
        start: what it does at its start.
        name: of the file.
    """
    text = _NODE.replace("// WITH THE CHUNKS", chunks).replace("// AT START", start)
    (folder / name).write_text(text, "utf-8")
    return f"node {name}"


def tiny() -> Transcript:
    """Return the shortest stream that has a two-byte character, a finish reason and an end."""
    events = [
        '{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Grüße"}}]}',
        '{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
        "[DONE]",
    ]
    body = "".join(f"data: {event}\n\n" for event in events).encode()
    return Transcript(body=body, dialect="openai_chat", synthetic=True, source="made for the tests of drivers")


def small() -> Transcript:
    """Return a short stream with two-byte characters and a tool call."""
    return streamkit.synthesize("Grüße.", tool_calls=[("get_weather", {"city": "Köln"})], token_size=8)


def pids(folder: Path, name: str = "pids") -> list[int]:
    """Return the ids that processes have written."""
    path = folder / name
    return [int(line) for line in path.read_text("ascii").split()] if path.exists() else []


def is_running(pid: int) -> bool:
    """Whether there is a process of that id that is not dead."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return Path("/proc").is_dir() is False


def still_running(listed: list[int], seconds: float = 10.0) -> list[int]:
    """Return those processes that are still there after a while; none as soon as all are gone."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in listed if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left
