"""Many streams at once: none loses a byte, and none is given another's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from streamkit.server import ReplayServer
from streamkit.transcript import Transcript

STREAMS = 300


def body(number: int) -> bytes:
    """Return 50 kB that are one stream's own."""
    return b"".join(b"data: %06d of %06d %060d\n\n" % (place, number, 0) for place in range(560))[:50_000]


async def ask(url: str) -> bytes:
    """Return the body, out of its HTTP chunks."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"POST {parts.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    chunks = []
    while size := int(await reader.readline(), 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    assert {100} == set(map(len, chunks))
    writer.close()
    return b"".join(chunks)


def test_hundreds_of_streams_at_once_arrive_whole_in_their_own_chunks() -> None:
    bodies = [body(number) for number in range(STREAMS)]
    with ReplayServer([]) as server:
        offers = [
            server.offer(Transcript.from_chunks([one[place : place + 100] for place in range(0, len(one), 100)]))
            for one in bodies
        ]

        async def ask_all() -> list[bytes]:
            return await asyncio.gather(*(ask(offer.url) for offer in offers))

        assert bodies == asyncio.run(ask_all())
        assert ["complete"] * STREAMS == [one["ended"] for one in server.wait_for(STREAMS)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_command_may_open_more_files_than_a_shell_allows_at_first() -> None:
    program = (
        "import resource, sys\nfrom streamkit.cli.serve import allow_many_connections\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))\n"
        "allow_many_connections()\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0], hard)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    soft, hard = map(int, done.stdout.split())
    assert min(hard, 65536) == soft
