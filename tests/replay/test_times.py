"""When replayed chunks come: at once, as recorded, faster, or in virtual time; and the clients' read timeouts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from skhelpers.recording import ASYNC, CLIENTS, PIECES, SYNC, Call, Outcome, replayed

import streamkit
from streamkit.cassettes.format import Cassette
from streamkit.cassettes.writing import dump
from streamkit.errors import UsageError
from streamkit.transcript import Chunk, Interaction, Request, ResponseHead, Transcript

URL = "http://replay.invalid/v1/chat"
HEAD = ResponseHead(200, "OK", (("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")))
TIMES = (0, 100, 200, 300, 5000, 5100, 5200)

every_client = pytest.mark.parametrize("client", CLIENTS)
every_async_client = pytest.mark.parametrize("client", ASYNC)


class NoWaiting:
    """A clock for replay that must not wait."""

    def time(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"waited for {seconds} seconds")

    async def asleep(self, seconds: float) -> None:
        raise AssertionError(f"waited for {seconds} seconds")


def cassette(folder: Path, times: tuple[int, ...] = TIMES, count: int = 1) -> Path:
    chunks = [Chunk(data, at) for data, at in zip(PIECES, times, strict=True)]
    one = Interaction(
        Request("POST", URL, (("Content-Type", "application/json"),), Call().content),
        Transcript.from_chunks(chunks, head=HEAD),
    )
    path = folder / "timed.yaml"
    path.write_bytes(dump(Cassette((one,) * count)))
    return path


def with_times(client: str, path: Path, clock: streamkit.VirtualClock, call: Call, **options: object) -> list[float]:
    """Return the clock's time at each chunk."""
    found: list[float] = []
    call.seen = lambda: found.append(round(clock.time(), 6))
    outcome = replayed(client, path, URL, call, clock=clock, **options)
    assert PIECES[: len(found)] == outcome.chunks
    return found


# -- real time


@every_client
def test_at_speed_1_no_chunk_comes_before_its_time(client: str, tmp_path: Path) -> None:
    path = cassette(tmp_path, (0, 5, 10, 20, 30, 40, 50))
    start = time.monotonic()
    outcome = replayed(client, path, URL, speed=1)
    assert PIECES == outcome.chunks
    due = [0.0, 0.005, 0.010, 0.020, 0.030, 0.040, 0.050]
    assert [] == [at for at, least in zip(outcome.at, due, strict=True) if at - start < least - 1e-6]


@every_client
def test_at_speed_0_nobody_waits(client: str, tmp_path: Path) -> None:
    outcome = replayed(client, cassette(tmp_path), URL, speed=0, clock=NoWaiting())
    assert (PIECES, "") == (outcome.chunks, outcome.kind)


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf"), True, "fast"])
def test_a_speed_that_is_none_is_refused(speed: object) -> None:
    with pytest.raises(UsageError, match="write 0 for at once"):
        streamkit.use_cassette("one", speed=speed)  # type: ignore[arg-type]  # that is the point


# -- virtual time


@every_client
@pytest.mark.parametrize(("speed", "factor"), [(None, 1.0), (2, 0.5), (0.1, 10.0)])
def test_virtual_time_passes_as_recorded(client: str, speed: float | None, factor: float, tmp_path: Path) -> None:
    found = with_times(client, cassette(tmp_path), streamkit.VirtualClock(), Call(timeout=1000.0), speed=speed)
    assert [round(at / 1000 * factor, 6) for at in TIMES] == found


TIMEOUTS = {
    "httpx": "httpx.ReadTimeout",
    "httpx2": "httpx2.ReadTimeout",
    "requests": "requests.ConnectionError",
    "requests-raw": "urllib3.ReadTimeoutError",
    "urllib3": "urllib3.ReadTimeoutError",
    "urllib3-chunked": "urllib3.ReadTimeoutError",
    "httpx-async": "httpx.ReadTimeout",
    "httpx2-async": "httpx2.ReadTimeout",
    "aiohttp-chunks": "aiohttp.SocketTimeoutError",
    "aiohttp": "aiohttp.SocketTimeoutError",
}


@every_client
def test_a_read_timeout_fires_in_virtual_time_after_the_right_chunk(client: str, tmp_path: Path) -> None:
    clock = streamkit.VirtualClock()
    outcome = replayed(client, cassette(tmp_path), URL, Call(timeout=2.0), clock=clock)
    assert PIECES[:4] == outcome.chunks
    assert TIMEOUTS.get(client, "builtins.TimeoutError") == outcome.kind
    assert 2.3 == round(clock.time(), 6)


@every_async_client
def test_on_the_clocks_own_loop_a_deadline_fires_between_the_right_chunks(client: str, tmp_path: Path) -> None:
    clock = streamkit.VirtualClock()
    outcome = Outcome()

    async def main() -> float:
        with streamkit.use_cassette(cassette(tmp_path), record_mode="none", clock=clock):
            try:
                async with asyncio.timeout(0.25):
                    await ASYNC[client](URL, Call(timeout=1000.0), outcome)
            except TimeoutError:
                return clock.time()
        raise AssertionError("the deadline did not fire")

    assert 0.25 == round(clock.run(main()), 6)
    assert PIECES[:3] == outcome.chunks


@every_async_client
def test_streams_side_by_side_share_the_clock(client: str, tmp_path: Path) -> None:
    clock = streamkit.VirtualClock()
    events: list[tuple[str, float]] = []

    async def one(name: str, after: float) -> None:
        await asyncio.sleep(after)
        call = Call(timeout=1000.0, seen=lambda: events.append((name, round(clock.time(), 6))))
        await ASYNC[client](URL, call, Outcome())

    async def main() -> None:
        with streamkit.use_cassette(cassette(tmp_path, count=2), record_mode="none", clock=clock):
            await asyncio.gather(one("a", 0.0), one("b", 0.05))

    clock.run(main())
    due = [(name, at / 1000 + after) for at in TIMES for name, after in (("a", 0.0), ("b", 0.05))]
    assert sorted((round(at, 6), name) for name, at in due) == [(at, name) for name, at in events]


@pytest.mark.parametrize("client", SYNC)
def test_no_real_time_passes(client: str, tmp_path: Path) -> None:
    hours = tuple(at * 3600 for at in TIMES)
    assert (
        hours[-1] / 1000
        == with_times(client, cassette(tmp_path, hours), streamkit.VirtualClock(), Call(timeout=1e7))[-1]
    )


def test_a_clock_does_not_go_back() -> None:
    with pytest.raises(UsageError, match="cannot go back"):
        streamkit.VirtualClock().advance(-1)


@pytest.mark.skipif("aiohttp" not in ASYNC, reason="aiohttp is not installed")
def test_the_total_timeout_of_aiohttp_holds_in_virtual_time(tmp_path: Path) -> None:
    import aiohttp

    clock = streamkit.VirtualClock()
    seen: list[bytes] = []

    async def read() -> None:
        timeout = aiohttp.ClientTimeout(total=2.5)
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(URL, data=Call().content, headers=headers) as response,
        ):
            async for chunk, _ in response.content.iter_chunks():
                seen.append(chunk)

    path = cassette(tmp_path)
    with (
        streamkit.use_cassette(path, record_mode="none", clock=clock),
        pytest.raises(TimeoutError) as raised,
    ):
        asyncio.run(read())
    assert TimeoutError is type(raised.value)
    assert (PIECES[:4], 2.5) == (seen, clock.time())
