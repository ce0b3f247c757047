"""Which failures are retried, and how long is waited; a retry through the client is in `test_delivered`."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from skhelpers.talking import Talk, interactions, refused

from streamkit.conversation import Backoff, Conversation, Retry
from streamkit.conversation.retrying import is_passing, own_error
from streamkit.errors import (
    CassetteError,
    PayloadError,
    ProviderError,
    RetriesExhaustedError,
    TruncatedStreamError,
    UnmatchedRequestError,
    UsageError,
)
from streamkit.replay import VirtualClock
from streamkit.replay.clients import _libraries
from streamkit.replay.delivery import Delivery
from streamkit.transcript import ResponseHead

NAME = "synthetic_streaming"
TEXT = "Quantum computers compute with qubits."
sync_and_async = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def talk(*instead: Delivery | Exception) -> Talk:
    return Talk(interactions(NAME), {0: list(instead)})


# -- through a real client


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
@sync_and_async
def test_a_status_that_may_pass_is_asked_again(status: int, is_async: bool) -> None:
    done = talk(refused(status), refused(status)).run(is_async=is_async)
    assert (TEXT, 3, 0.5 + 1.0) == (done.text, len(done.sent), done.clock.time())
    assert 3 == done.answer.rounds[0].tries


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
    ],
)
@sync_and_async
def test_a_status_that_does_not_pass_is_the_clients_own_error(
    status: int, kind: type[Exception], is_async: bool
) -> None:
    failing = talk(refused(status))
    before = list(failing.messages)
    with pytest.raises(kind):
        failing.run(is_async=is_async)
    assert (1, 0.0, before) == (len(failing.sent), failing.clock.time(), failing.messages)


def test_a_quota_that_is_used_up_is_not_asked_again() -> None:
    failing = talk(refused(429, {"message": "no money", "type": "insufficient_quota", "code": "insufficient_quota"}))
    with pytest.raises(openai.RateLimitError):
        failing.run()
    assert 1 == len(failing.sent)


def test_what_the_server_says_of_a_retry_goes_before_its_status() -> None:
    with pytest.raises(openai.InternalServerError):
        talk(refused(500, x_should_retry="false")).run()
    assert TEXT == talk(refused(400, x_should_retry="true")).run().text


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "2"}, 2.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": "Thu, 26 Nov 2026 10:00:07 GMT", "date": "Thu, 26 Nov 2026 10:00:00 GMT"}, 7.0),
        ({"retry_after": "Thu, 26 Nov 2026 09:00:00 GMT", "date": "Thu, 26 Nov 2026 10:00:00 GMT"}, 0.0),
        ({"retry_after": "Thu, 26 Nov 2026 10:00:07 GMT"}, 0.5),
        ({"retry_after": "soon"}, 0.5),
        ({"retry_after": "-1"}, 0.5),
        ({"retry_after": "inf"}, 0.5),
    ],
)
def test_retry_after_is_honoured(headers: dict[str, str], seconds: float) -> None:
    done = talk(refused(503, **headers)).run()
    assert (TEXT, seconds) == (done.text, done.clock.time())


def test_a_server_that_asks_for_a_longer_wait_than_is_allowed_is_not_asked_again() -> None:
    failing = talk(refused(429, retry_after="3600"))
    with pytest.raises(RetriesExhaustedError, match="the server asks for a longer wait") as caught:
        failing.run()
    assert isinstance(caught.value.__cause__, openai.RateLimitError)
    assert (1, 0.0) == (caught.value.tries, failing.clock.time())


@pytest.mark.parametrize(
    "name", ["ConnectError", "ConnectTimeout", "ReadTimeout", "RemoteProtocolError", "PoolTimeout"]
)
@sync_and_async
def test_a_connection_that_fails_is_made_again(name: str, is_async: bool) -> None:
    _, http = _libraries()
    done = talk(getattr(http, name)("no")).run(is_async=is_async)
    assert (TEXT, 2) == (done.text, len(done.sent))


def test_retries_are_counted_for_each_round() -> None:
    name = "synthetic_count_string"
    done = Talk(interactions(name), {0: [refused(500)] * 2, 1: [refused(500)] * 2}).run()
    assert ([3, 3], 1) == ([one.tries for one in done.answer.rounds], len(done.calls))


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        (b'data: {"error":{"message":"busy","type":"server_error","code":null}}\n\n', True),
        (b'data: {"error":{"message":"busy","type":"overloaded_error"}}\n\n', True),
        (b'data: {"error":{"message":"busy","code":503}}\n\n', True),
        (b'data: {"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}\n\n', True),
        (
            b'data: {"error":{"message":"no","type":"invalid_request_error","code":"context_length_exceeded"}}\n\n',
            False,
        ),
        (b'data: {"error":{"message":"no","code":400}}\n\n', False),
        (b'data: {"error":"no"}\n\n', False),
    ],
)
@sync_and_async
def test_an_error_inside_the_stream_is_retried_if_it_may_pass(event: bytes, passes: bool, is_async: bool) -> None:
    body = interactions(NAME)[0].transcript.body
    half = body[: body.index(b"\n\n", len(body) // 2) + 2]
    once = talk(Delivery(ResponseHead(), [half + event]))
    if passes:
        assert TEXT == once.run(is_async=is_async).text
        return
    with pytest.raises(ProviderError):
        once.run(is_async=is_async)
    assert TEXT.startswith(once.text)
    assert once.text


def test_without_retries_the_first_failure_is_the_last() -> None:
    with pytest.raises(RetriesExhaustedError, match="the only try of the request failed: InternalServerError"):
        talk(refused(500)).run(backoff=Backoff(retries=0))


# -- by itself


def test_the_wait_grows_up_to_a_bound() -> None:
    backoff = Backoff(retries=6, first=1.0, factor=3.0, longest=20.0)
    error = ConnectionError()
    assert [1.0, 3.0, 9.0, 20.0, 20.0, 20.0, None] == [backoff.wait(number, error) for number in range(1, 8)]
    assert 30.0 == Backoff(retries=10_000).wait(9_999, error)
    assert 0.25 == Backoff(jitter=lambda: 0.5).wait(1, error)


@pytest.mark.parametrize("how", [{"retries": -1}, {"first": -1}, {"longest": -0.1}, {"factor": 0.5}])
def test_a_back_off_that_makes_no_sense_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a back-off has no negative number"):
        Backoff(**how)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (TruncatedStreamError("cut"), True),
        (PayloadError("no JSON"), False),
        (ProviderError("busy", code=529), True),
        (ProviderError("busy", code="503"), True),
        (ProviderError("no", code=418), False),
        (ProviderError("no"), False),
        (ValueError("no"), False),
        (TypeError("create() got an unexpected keyword argument"), False),
    ],
)
def test_what_may_pass(error: Exception, expected: bool) -> None:
    assert expected == is_passing(error)


def test_an_error_of_ours_is_found_wherever_a_client_wrapped_it() -> None:
    mine = UnmatchedRequestError("none", reason="all_played", method="POST", url="u", path="p")
    outer = RuntimeError("outer")
    middle = ConnectionError("wrapped")
    middle.__cause__ = mine
    outer.__cause__ = middle
    mine.__cause__ = outer  # a circle
    assert own_error(outer) is mine
    assert own_error(mine) is mine
    assert own_error(ExceptionGroup("of several addresses", [OSError(), ExceptionGroup("", [middle])])) is mine
    assert own_error(ValueError()) is None
    wrapped = ValueError()
    wrapped.__cause__ = PayloadError("of the stream, and no mistake of ours")
    assert own_error(wrapped) is None
    assert issubclass(UnmatchedRequestError, CassetteError)


def test_a_retry_tells_what_is_waited_for() -> None:
    told: list[Retry] = []
    talk(refused(503, retry_after="2"), refused(500)).run(on_retry=told.append)
    assert [(1, 2.0), (2, 1.0)] == [(one.number, one.seconds) for one in told]


@pytest.mark.parametrize(
    ("url", "cause"), [("ftp://x/v1", "UnsupportedProtocol"), ("127.0.0.1:1/v1", "UnsupportedProtocol")]
)
def test_a_url_that_cannot_work_is_not_asked_again(url: str, cause: str) -> None:
    waits: list[Any] = []
    with openai.OpenAI(base_url=url, api_key="any") as client:
        conversation = Conversation(client, "m", clock=VirtualClock(), on_retry=waits.append)
        with pytest.raises(openai.APIConnectionError) as caught:
            conversation.get_response([{"role": "user", "content": "?"}]).read()
    assert ("UnsupportedProtocol", []) == (type(caught.value.__cause__).__name__, waits)


@sync_and_async
@pytest.mark.parametrize(
    "body", [b'{"choices": [{"message": {"content": "hi"}}]}', b"\n<!doctype html><title>502</title>"]
)
def test_an_answer_that_is_no_stream_is_told_by_how_it_begins_and_not_asked_again(body: bytes, is_async: bool) -> None:
    other = Delivery(ResponseHead(200, "OK", (("content-type", "text/plain"),)), (body,))
    talk = Talk(interactions(NAME), {0: [other]})
    with pytest.raises(PayloadError, match="the answer is no event stream: it begins"):
        talk.run(is_async=is_async)
    assert 1 == len(talk.sent)


@sync_and_async
def test_a_stray_line_before_a_whole_answer_is_passed_over_as_the_standard_has_it(is_async: bool) -> None:
    (recorded,) = interactions(NAME)
    body = b"{stray}\n\n" + recorded.transcript.body
    talk = Talk((recorded,), {0: [Delivery(recorded.transcript.head, (body,))]}).run(is_async=is_async)
    assert (TEXT, 1) == (talk.text, len(talk.sent))
