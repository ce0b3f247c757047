"""Functions of a base URL: they drive a real client against the server, and run as other targets do."""

from __future__ import annotations

import http.client
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from skhelpers.drivers import tiny

import streamkit
from streamkit.fuzz import Options, adapt, fuzz

FEW = Options(max_examples=10, max_single_cuts=60)
BOSTON = "openai_chat/boston_weather"


CLIENT = openai.OpenAI(api_key="any", max_retries=0)  # it takes longer to make one than to read a stream


def drives_openai(base_url: str) -> Any:
    client = CLIENT.with_options(base_url=base_url)
    with client.chat.completions.stream(model="m", messages=[]) as stream:
        return stream.get_final_completion()


async def drives_openai_async(base_url: str) -> Any:
    async with (
        openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client,
        client.chat.completions.stream(model="m", messages=[]) as stream,
    ):
        return await stream.get_final_completion()


def post(base_url: str) -> Any:
    request = urllib.request.Request(f"{base_url}/chat/completions", b"{}", method="POST")  # noqa: S310 - http
    return urllib.request.urlopen(request)  # noqa: S310 - the URL is that of our own server


def test_the_openai_client_has_no_findings() -> None:
    options = Options(max_examples=10, max_single_cuts=100, mutations=False)
    report = fuzz(drives_openai, BOSTON, options=options)
    assert ([], []) == (report.findings, report.notes)
    assert 100 >= report.coverage[0].swept > 50


@pytest.mark.parametrize(("target", "kind"), [(drives_openai, "client"), (drives_openai_async, "async client")])
def test_a_client_may_be_async(target: Any, kind: str) -> None:
    assert kind == adapt(target).kind
    report = fuzz(target, replay="sk1:openai_chat/boston_weather@bc7d72dd69d9:99,100")
    assert ([], 3) == (report.findings, report.cases)


def test_a_client_is_judged_by_what_the_stream_says() -> None:
    def forgets(base_url: str) -> Any:
        found = drives_openai(base_url).choices[0].message.model_dump()
        return {**found, "tool_calls": []}

    (finding,) = fuzz(forgets, replay="sk1:openai_chat/boston_weather@bc7d72dd69d9:99").findings
    assert "reference" == finding.oracle


def test_a_client_that_decodes_what_it_reads_piece_by_piece_is_caught_with_one_cut() -> None:
    def wrong(base_url: str) -> str:
        with post(base_url) as response:
            pieces = iter(lambda: response.read1(65536), b"")
            return "".join(piece.decode("utf-8", "replace") for piece in pieces)

    (finding,) = fuzz(wrong, tiny(), options=Options(max_examples=0, mutations=False)).findings
    assert ["utf8"] == finding.boundaries
    assert {"utf8": 2} == finding.single_cuts


def test_a_client_gets_the_recorded_head_and_the_base_url_of_the_dialect() -> None:
    seen = set()

    def reads(base_url: str) -> bytes:
        with post(base_url) as response:
            seen.add((response.headers["content-type"], urlsplit(base_url).path.rpartition("/")[2] == "v1"))
            return bytes(response.read())

    report = fuzz(reads, options=Options(max_examples=0, max_single_cuts=0, only=("comments",)))  # all dialects once
    assert report.cases > 20
    assert {True, False} == {v1 for _, v1 in seen}
    assert {"text/event-stream", "application/x-ndjson"} <= {kind.partition(";")[0] for kind, _ in seen}


def test_the_time_limit_holds_for_a_client() -> None:
    def hangs(base_url: str) -> str:
        with post(base_url) as response:
            first = response.read1(65536)
            if len(first) == 100:
                time.sleep(600)
            return str((first + response.read()).decode())

    options = Options(max_examples=0, mutations=False, time_limit=0.5)
    (finding,) = fuzz(hangs, tiny(), options=options).findings
    assert finding.actual.hung
    assert (100,) == finding.case.fragmentation.cuts


def test_an_error_message_does_not_hold_the_address_of_a_delivery() -> None:
    def refuses(base_url: str) -> None:
        with post(base_url):
            raise ConnectionError(f"no answer from {base_url}/chat/completions")

    (finding,) = fuzz(refuses, tiny(), options=FEW).findings
    assert "no answer from http://base-url/v1/chat/completions" == finding.actual.message


def test_the_address_of_a_delivery_is_no_part_of_a_result() -> None:
    def tells_where(base_url: str) -> Any:
        with post(base_url) as response:
            return {"size": len(response.read()), "asked": [response.geturl()]}

    report = fuzz(tells_where, tiny(), options=Options(max_examples=0, max_single_cuts=5, mutations=False))
    assert [] == report.findings


def test_a_client_that_sends_no_request_is_told_of() -> None:
    def idle(base_url: str) -> int:
        return 1

    report = fuzz(idle, tiny(), options=Options(max_examples=0, max_single_cuts=1, mutations=False))
    assert any("the target sent no request" in note for note in report.notes)


def test_one_server_serves_a_campaign_and_is_closed_at_its_end() -> None:
    ports = set()

    def reads(base_url: str) -> bytes:
        ports.add(urlsplit(base_url).port)
        with post(base_url) as response:
            return bytes(response.read())

    fuzz(reads, tiny(), options=Options(max_examples=0, max_single_cuts=2, mutations=False))
    (port,) = ports
    assert port is not None
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()


def test_check_takes_a_function_of_a_base_url_and_a_token_repeats_its_findings() -> None:
    def wrong(base_url: str) -> str:
        with post(base_url) as response:
            pieces = iter(lambda: response.read1(65536), b"")
            return "".join(piece.decode("utf-8", "replace") for piece in pieces)

    with pytest.raises(streamkit.OracleFailure, match="UTF-8 character") as failure:
        streamkit.check(wrong, tiny(), max_examples=0, mutations=False)
    token = failure.value.counterexamples[0].token
    with pytest.raises(streamkit.OracleFailure, match="UTF-8 character"):
        streamkit.check(wrong, tiny(), replay=token)
