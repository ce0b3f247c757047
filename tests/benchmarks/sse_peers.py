"""Other decoders of event streams in Python, each driven at the level of bytes in the cheapest way that it offers.

Where a library's decoder takes text, it gets the incremental decoding that its own client puts in front of it; where
it takes a response, it gets one that hands out the chunks as they are. So no peer pays for a transport. Most of them
are internal to a client library: a version that moves them is said to be missing, and its row is left out.
"""

from __future__ import annotations

import codecs
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import Any

from streamkit.wire.sse import SSEDecoder

__all__ = ["PEERS", "Decode", "data", "floor", "general", "installed", "streamkit"]

Decode = Callable[[Iterable[bytes]], Iterator[Any]]
"""Takes the chunks of a whole stream and yields its events."""


def streamkit(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield the events."""
    return chain.from_iterable(map(SSEDecoder().feed, chunks))


def floor(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the data of a stream of one LF-ended data line an event, by joining, splitting and slicing alone.

    It is no decoder: it is what the work on the bytes costs by itself.
    """
    rest = b""
    for chunk in chunks:
        if b"\n\n" in rest[-1:] + chunk:
            *blocks, rest = (rest + chunk).split(b"\n\n")
            yield from [block[6:] for block in blocks]
        else:
            rest += chunk


def data(event: Any) -> str:
    """Return the data of an event of any of the decoders."""
    return str(event if isinstance(event, str) else event.data)


def _texts(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield what a client that reads text gets: the characters that each chunk completes."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    return filter(None, map(decode, chunks))


def _iter_bytes(module: str) -> Decode:
    """The decoder of the clients that are generated as openai's is."""
    make = importlib.import_module(module).SSEDecoder
    make().iter_bytes(iter([]))
    return lambda chunks: make().iter_bytes(iter(chunks))


def _httpx_sse() -> Decode:
    """Its public class, over a response of httpx that takes its bytes from no network."""
    httpx, source = importlib.import_module("httpx"), importlib.import_module("httpx_sse").EventSource
    head = {"content-type": "text/event-stream"}

    class Chunks(httpx.SyncByteStream):  # type: ignore[misc, name-defined]
        def __init__(self, chunks: Iterable[bytes]) -> None:
            self.chunks = chunks

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.chunks)

    return lambda chunks: source(httpx.Response(200, headers=head, stream=Chunks(chunks))).iter_sse()


def _httpx_sse_alone() -> Decode:
    """Its internal classes, which a user of it cannot reach without its response."""
    from httpx_sse._decoders import SSEDecoder as Events
    from httpx_sse._decoders import SSELineDecoder as Lines

    def decode(chunks: Iterable[bytes]) -> Iterator[Any]:
        lines, events = Lines(), Events()
        for text in _texts(chunks):
            for line in lines.decode(text):
                event = events.decode(line)
                if event is not None:
                    yield event

    return decode


def _httpx2() -> Decode:
    parser = importlib.import_module("httpx2._sse")._SSEParser
    return lambda chunks: chain.from_iterable(map(parser().decode, _texts(chunks)))


def _sseclient() -> Decode:
    from sseclient import SSEClient

    return lambda chunks: SSEClient(iter(chunks)).events()


def _google_genai() -> Decode:
    response = importlib.import_module("google.genai._api_client").HttpResponse
    httpx = importlib.import_module("httpx")

    class Chunks(httpx.Response):  # type: ignore[misc, name-defined]
        def __init__(self, chunks: Iterable[bytes]) -> None:
            self.chunks = chunks

        def iter_bytes(self) -> Iterator[bytes]:
            return iter(self.chunks)

    return lambda chunks: response({}, response_stream=Chunks(chunks))._iter_response_stream()


#: By the name of its distribution, how the decoder of a peer is found.
PEERS: dict[str, Callable[[], Decode]] = {
    "openai": lambda: _iter_bytes("openai._streaming"),
    "httpx-sse": _httpx_sse,
    "httpx-sse (decoder alone)": _httpx_sse_alone,
    "httpx2": _httpx2,
    "sseclient-py": _sseclient,
    "anthropic": lambda: _iter_bytes("anthropic._streaming"),
    "groq": lambda: _iter_bytes("groq._streaming"),
    "google-genai": _google_genai,
}


#: Of them, those that read streams of data lines only: google-genai takes any other line for a part of a JSON text.
DATA_ONLY = {"google-genai"}


def general(decoders: Mapping[str, Decode]) -> dict[str, Decode]:
    """Return the decoders that also read streams with other lines than data lines."""
    return {name: decode for name, decode in decoders.items() if name.split()[0] not in DATA_ONLY}


def installed() -> tuple[dict[str, Decode], list[str]]:
    """Return the decoders of the peers that are here, by name and version, and notes about the others."""
    found: dict[str, Decode] = {}
    notes = []
    for name, find in PEERS.items():
        try:
            distribution, _, how = name.partition(" ")
            found[" ".join(filter(None, (distribution, version(distribution), how)))] = find()
        except (PackageNotFoundError, ImportError, AttributeError) as missing:
            notes.append(f"{name} is not measured: {missing}")
    return found, notes
