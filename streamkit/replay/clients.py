"""Real openai clients on a replayed transport, and the same as targets for fuzzing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError
from streamkit.replay.delivery import Cuts, Delivery, Source
from streamkit.replay.httpx_transport import httpx_transport
from streamkit.transcript import ResponseHead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import openai as openai_module
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    from streamkit.replay.clock import Clock

__all__ = ["async_openai", "async_openai_create", "async_openai_stream", "openai", "openai_create", "openai_stream"]

_MODEL = "replayed"
_MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather like in Boston?"}]


def openai(
    source: Source | Delivery,
    fragmentation: Cuts = None,
    *,
    speed: float | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> openai_module.OpenAI:
    """Return a real `openai.OpenAI` client whose transport replays.

    Works with openai 3 (on httpx2) and openai 2 (on httpx). No key is needed and no network is touched.

    Args:
        source: a transcript, its name or path, or several for the requests in turn.
        fragmentation: where to cut: a Fragmentation, its text form or offsets; None for the recorded chunks.
        speed: 0 for at once, 1 for the recorded times; None for 0, or 1 where a clock is given. The client's timeout
            then holds.
        clock: what waits; a `VirtualClock` needs no real time.
        options: passed to the client. `max_retries` is 0 unless given: a retry would replay the same bytes.

    Raises:
        UsageError: the openai library is missing, or the cuts do not fit.
        CassetteError: a name cannot be found or its file not read.
    """
    library, http = _libraries()
    transport = httpx_transport(source, fragmentation, module=http, speed=speed, clock=clock)
    options = {"api_key": "replayed", "max_retries": 0, **options}
    client: openai_module.OpenAI = library.OpenAI(
        http_client=http.Client(transport=transport, trust_env=False), **options
    )
    return client


def async_openai(
    source: Source | Delivery,
    fragmentation: Cuts = None,
    *,
    speed: float | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> openai_module.AsyncOpenAI:
    """Return a real `openai.AsyncOpenAI` client whose transport replays; see `openai`."""
    library, http = _libraries()
    transport = httpx_transport(source, fragmentation, module=http, speed=speed, clock=clock)
    options = {"api_key": "replayed", "max_retries": 0, **options}
    client: openai_module.AsyncOpenAI = library.AsyncOpenAI(
        http_client=http.AsyncClient(transport=transport, trust_env=False), **options
    )
    return client


def _libraries() -> tuple[Any, Any]:
    """Return the openai library and the HTTP library that it stands on: httpx2 from version 3 on, httpx before."""
    try:
        import openai as library
    except ModuleNotFoundError:
        raise UsageError("the openai library is not installed: pip install openai") from None
    for base in library.DefaultHttpxClient.__mro__[1:]:
        name = base.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return library, sys.modules[name]
    raise UsageError(f"openai {library.__version__} stands on an HTTP library that streamkit does not know")


# -- targets: what users of the library call, as functions of chunks


def openai_create(chunks: Iterator[bytes]) -> list[ChatCompletionChunk]:
    """Return what `create(stream=True)` of the real client yields for these chunks."""
    client = openai(Delivery(ResponseHead(), chunks))
    return list(client.chat.completions.create(model=_MODEL, messages=_MESSAGES, stream=True))


def openai_stream(chunks: Iterator[bytes]) -> ChatCompletion:
    """Return the final completion that `.stream()` of the real client gathers from these chunks."""
    client = openai(Delivery(ResponseHead(), chunks))
    with client.chat.completions.stream(model=_MODEL, messages=_MESSAGES) as stream:
        return stream.get_final_completion()


async def async_openai_create(chunks: AsyncIterator[bytes]) -> list[ChatCompletionChunk]:
    """Return what `create(stream=True)` of the real async client yields for these chunks."""
    client = async_openai(Delivery(ResponseHead(), chunks))
    stream = await client.chat.completions.create(model=_MODEL, messages=_MESSAGES, stream=True)
    return [chunk async for chunk in stream]


async def async_openai_stream(chunks: AsyncIterator[bytes]) -> ChatCompletion:
    """Return the final completion that `.stream()` of the real async client gathers from these chunks."""
    client = async_openai(Delivery(ResponseHead(), chunks))
    async with client.chat.completions.stream(model=_MODEL, messages=_MESSAGES) as stream:
        return await stream.get_final_completion()
