"""Habits of providers, in a conversation: reasoning that has to go back, and streams that end in a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from skhelpers.talking import Talk, interactions

import streamkit
from streamkit.conversation import Backoff, Conversation, Retry
from streamkit.errors import RetriesExhaustedError, TruncatedStreamError, UnusableCallsError
from streamkit.replay.clients import _libraries
from streamkit.replay.clock import VirtualClock
from streamkit.server import ReplayServer
from streamkit.transcript import Transcript

Json = dict[str, Any]
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
BARE = {**CALL, "function": {"name": "look", "arguments": ""}}


def chat(*deltas: Json, finish: str | None = "stop") -> Transcript:
    """Return an answer of Chat Completions that ends with `[DONE]`."""
    choices: list[Json] = [{"index": 0, "delta": one} for one in deltas]
    choices[-1] = {**choices[-1], "finish_reason": finish}
    body = "".join(f"data: {json.dumps({'choices': [one]})}\n\n" for one in choices)
    return Transcript((body + "data: [DONE]\n\n").encode(), dialect="openai_chat")


class Had:
    """A conversation that was had over these answers."""

    def __init__(self, *answers: Transcript, retries: int = 3) -> None:
        self.made: list[str] = []
        self.retries: list[Retry] = []
        self.messages: list[Any] = [{"role": "user", "content": "?"}]
        self.pieces: list[str] = []
        conversation = Conversation(
            streamkit.replay.openai(list(answers)), "m", functions=[self.look],
            backoff=Backoff(retries=retries), clock=VirtualClock(), on_retry=self.retries.append,
        )  # fmt: skip
        self.answer = conversation.get_response(self.messages)

    def look(self) -> str:
        self.made.append("look")
        return "seen"

    def run(self) -> Had:
        for piece in self.answer:
            self.pieces.append(piece)
        return self


# -- reasoning


@pytest.mark.parametrize("thoughts", [["I ", "look."], [""]], ids=["some", "empty"])
def test_reasoning_content_goes_back_with_the_calls_it_came_with_and_not_with_a_last_answer(
    thoughts: list[str],
) -> None:
    thinking = [{"reasoning_content": one} for one in thoughts]
    had = Had(chat(*thinking, {"tool_calls": [CALL]}, finish="tool_calls"), chat(*thinking, {"content": "so"})).run()
    assert "".join(thoughts) == had.messages[1]["reasoning_content"]
    assert {"role": "assistant", "content": "so"} == had.messages[-1]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_text", "thinking"])
def test_reasoning_under_another_name_does_not_go_back(name: str) -> None:
    had = Had(chat({name: "hm"}, {"tool_calls": [CALL]}, finish="tool_calls"), chat({"content": "so"})).run()
    assert {"role", "content", "tool_calls"} == had.messages[1].keys()


def test_reasoning_of_an_answer_that_broke_does_not_go_back_with_the_one_that_came_instead() -> None:
    broken = Transcript(chat({"reasoning_content": "lost"}).body[:-30], dialect="openai_chat")
    kept = chat({"reasoning_content": "kept"}, {"tool_calls": [CALL]}, finish="tool_calls")
    had = Had(broken, kept, chat({"content": "so"})).run()
    assert ("kept", 1) == (had.messages[1]["reasoning_content"], len(had.retries))


# -- failures that a stream tells by how it ends


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource", "network_error"])
def test_an_answer_that_ends_with_a_failure_of_the_server_is_asked_for_again(reason: str) -> None:
    had = Had(chat({"content": "so"}, finish=reason), chat({"content": "so it is"})).run()
    assert ["so", " it is"] == had.pieces
    assert [TruncatedStreamError] == [type(one.error) for one in had.retries]
    assert f"the server broke it off (finish reason {reason})" in str(had.retries[0].error)


def test_an_answer_that_always_ends_with_a_failure_is_an_error_and_leaves_the_messages() -> None:
    had = Had(*[chat({"tool_calls": [CALL]}, finish="error")] * 2, retries=1)
    with pytest.raises(RetriesExhaustedError):
        had.run()
    assert ([], 1) == (had.made, len(had.messages))


def test_a_call_without_arguments_is_not_made_where_nothing_says_that_none_are_to_come() -> None:
    whole = chat({"tool_calls": [BARE]}, finish="tool_calls")
    had = Had(chat({"tool_calls": [BARE]}, finish=None), whole, chat({"content": "so"})).run()
    assert (["look"], 1) == (had.made, len(had.retries))
    assert "no arguments came" in str(had.retries[0].error)


def test_a_call_with_all_its_arguments_is_made_of_a_stream_that_done_alone_ends() -> None:
    had = Had(chat({"tool_calls": [CALL]}, finish=None), chat({"content": "so"}, finish=None)).run()
    assert (["look"], [], "so") == (had.made, had.retries, had.answer.text)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_each_response_is_closed_before_the_next_request_so_that_one_connection_is_enough(is_async: bool) -> None:
    library, http = _libraries()
    limits, timeout = http.Limits(max_connections=1), http.Timeout(10, pool=0.05)
    with ReplayServer(["conversations/synthetic_count_string"]) as server:
        talk = Talk(interactions("synthetic_count_string"))
        kind, transport = (library.AsyncOpenAI, http.AsyncClient) if is_async else (library.OpenAI, http.Client)
        pool = transport(limits=limits, timeout=timeout, trust_env=False)
        client = kind(api_key="x", base_url=server.base_url(), timeout=timeout, http_client=pool)
        talk.run(is_async=is_async, client=client)
    assert ("It has 9 characters.", [1, 1]) == (talk.answer.text, [one.tries for one in talk.answer.rounds])


def test_half_a_character_of_an_answer_that_broke_is_no_part_of_the_next_one() -> None:
    whole = chat({"content": "a\ud83d"}, {"content": "\ude00b"})
    broken = Transcript(whole.body[: whole.body.index(b"\n\n") + 2], dialect="openai_chat")
    had = Had(broken, whole).run()
    assert (["a", "😀b"], 1) == (had.pieces, len(had.retries))


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_legacy_call_of_an_answer_that_was_cut_off_is_not_made(reason: str) -> None:
    had = Had(chat({"function_call": {"name": "look", "arguments": "{}"}}, finish=reason))
    with pytest.raises(UnusableCallsError, match=f"finish reason {reason}"):
        had.run()
    assert ([], 1) == (had.made, len(had.messages))


def test_a_legacy_call_without_arguments_is_not_made_where_nothing_says_that_none_are_to_come() -> None:
    call = {"function_call": {"name": "look", "arguments": ""}}
    had = Had(chat(call, finish=None), chat(call, finish="function_call"), chat({"content": "so"})).run()
    assert (["look"], 1) == (had.made, len(had.retries))
