"""A thousand streams at once: the replay server beside a plain streaming app of starlette on uvicorn.

    pip install uvicorn starlette
    python tests/benchmarks/serving.py [--streams 1000] [--rounds 3] [--json FILE]

Each stream is 50 kB in 500 chunks of 100 bytes, and every byte of every stream is checked. Both servers are processes
of their own, both are asked by the same client, in turns within one run; figures are the medians of the rounds, and
the ratio is what counts: machines are shared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

SIZE, CHUNK = 50_000, 100
_EVENT = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%06d"}}]}\n\n'
BODY = b"".join(_EVENT % number for number in range(SIZE // 100 + 1))[:SIZE]

_STARLETTE = """
import socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

body = open(sys.argv[1], "rb").read()
size = int(sys.argv[2])
chunks = [body[place : place + size] for place in range(0, len(body), size)]

async def stream():
    for chunk in chunks:
        yield chunk

async def answer(request):
    await request.body()
    return StreamingResponse(stream(), media_type="text/event-stream")

listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
app = Starlette(routes=[Route("/stream", answer, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, log_level="critical", loop="asyncio", http="h11")).run(sockets=[listener])
"""
_STREAMKIT = """
import sys
from streamkit.server import ReplayServer
from streamkit.transcript import Transcript

body = open(sys.argv[1], "rb").read()
size = int(sys.argv[2])
chunks = [body[place : place + size] for place in range(0, len(body), size)]
with ReplayServer(Transcript.from_chunks(chunks)) as server:
    print(f"listening on {server.url}", flush=True)
    sys.stdin.read()
"""


@contextmanager
def served(program: str, body: Path) -> Iterator[tuple[str, int]]:
    """Run a server; give the URL of its stream and its process id."""
    command = [sys.executable, "-c", program, str(body), str(CHUNK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running.stdout.readline().split()[-1] + "/stream", running.pid
        finally:
            running.kill()


async def ask(host: str, port: int, path: str) -> bytes:
    """Return all that one request brings."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
    parts = []
    while data := await reader.read(65536):
        parts.append(data)
    writer.close()
    return b"".join(parts)


async def ask_all(url: str, streams: int) -> list[bytes]:
    """Return what as many requests at once bring."""
    parts = urlsplit(url)
    return await asyncio.gather(*(ask(str(parts.hostname), int(parts.port or 0), parts.path) for _ in range(streams)))


def body_of(answer: bytes) -> tuple[bytes, int]:
    """Return the body of an answer in HTTP chunks, and how many they are."""
    rest = answer.partition(b"\r\n\r\n")[2]
    chunks: list[bytes] = []
    while True:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            return b"".join(chunks), len(chunks)
        chunks.append(rest[:size])
        rest = rest[size + 2 :]


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_megabytes(process: int) -> float:
    """Return the most memory that a process has held."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def measure(name: str, url: str, process: int, streams: int) -> dict[str, float]:
    """Ask once, check every byte, and return what it took."""
    before, started = processor_seconds(process), time.perf_counter()
    answers = asyncio.run(ask_all(url, streams))
    seconds = time.perf_counter() - started
    processor = processor_seconds(process) - before
    for answer in answers:
        body, chunks = body_of(answer)
        if (body, chunks) != (BODY, SIZE // CHUNK):
            raise SystemExit(f"{name}: a stream of {len(body)} bytes in {chunks} HTTP chunks is not what was asked for")
    return {"seconds": seconds, "processor": processor, "peak_megabytes": peak_megabytes(process)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"streamkit": [], "uvicorn + starlette": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body"
        file.write_bytes(BODY)
        with served(_STREAMKIT, file) as ours, served(_STARLETTE, file) as theirs:
            for _ in range(options.rounds):
                for name, (url, process) in zip(found, (ours, theirs), strict=True):
                    found[name].append(measure(name, url, process, options.streams))
    medians = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    print(f"{options.streams} streams at once, {SIZE} bytes in {SIZE // CHUNK} chunks each: every byte right")
    for name, one in medians.items():
        print(
            f"  {name:<20} {one['seconds']:6.2f} s, {one['processor']:6.2f} s of processor, "
            f"peak {one['peak_megabytes']:.0f} MB"
        )
    first, second = medians.values()
    ratios = {key: first[key] / second[key] for key in first}
    print("  ratio                " + ", ".join(f"{key} {ratio:.2f}" for key, ratio in ratios.items()))
    if options.json:
        Path(options.json).write_text(json.dumps({"medians": medians, "ratios": ratios}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
