"""Which interactions are served, and what answers a request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import streamkit
from streamkit.errors import CassetteNotFoundError, UsageError
from streamkit.server.answers import Answers, Miss, everything, gathered, local, models
from streamkit.transcript import Request, Transcript

BOSTON = streamkit.load("openai_chat/boston_weather")
URL = "https://api.example.com/v1/chat/completions"
JSON = (("content-type", "application/json"),)


def transcript(name: str, body: bytes, url: str = URL) -> Transcript:
    return Transcript(b"data: 1\n\n", name=name, request=Request("POST", url, JSON, body))


def name_of(found: Transcript | Miss) -> str:
    assert isinstance(found, Transcript), found.message
    return found.name


def asked(body: bytes, url: str = "http://127.0.0.1:1/v1/chat/completions", method: str = "POST") -> Request:
    return Request(method, url, JSON, body)


# -- what is served


def test_names_paths_bodies_and_folders_are_gathered_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b.sse").write_bytes(b"data: b\n\n")
    (tmp_path / "deep" / "a.sse").write_bytes(b"data: a\n\n")
    found = gathered([BOSTON.name, tmp_path / "deep", str(tmp_path / "deep" / "a.sse"), BOSTON])
    assert [BOSTON.body, b"data: a\n\n", b"data: b\n\n", b"data: a\n\n", BOSTON.body] == [one.body for one in found]


def test_a_cassette_of_several_interactions_gives_each_under_its_number(tmp_path: Path) -> None:
    from streamkit.cassettes.format import Cassette
    from streamkit.cassettes.writing import dump
    from streamkit.transcript import Interaction

    two = [transcript("", b'{"n": 1}'), transcript("", b'{"n": 2}')]
    path = tmp_path / "two.yaml"
    path.write_bytes(dump(Cassette(tuple(Interaction(one.request, one) for one in two if one.request is not None))))
    assert [f"{path}#1", f"{path}#2"] == [one.name for one in gathered(path)]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CassetteNotFoundError, match="boston_weather"):
        gathered("openai_chat/bostn_weather")
    with pytest.raises(UsageError, match=r"holds no cassette"):
        gathered(tmp_path)


def test_everything_is_what_can_be_named_without_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mine.sse").write_bytes(b"data: 1\n\n")
    (tmp_path / "broken.yaml").write_text("{")
    names = [one.name for one in everything(tmp_path)]
    assert "mine" in names
    assert BOSTON.name in names
    assert "broken" not in names


# -- what answers


def test_json_is_compared_by_its_meaning_and_the_host_not_at_all() -> None:
    answers = Answers([transcript("a", b'{"x": 1, "y": [2.0]}'), transcript("b", b'{"x": 2}')])
    assert "a" == name_of(answers.find(asked(b'{"y":[2],"x":1.0}')))
    assert "b" == name_of(answers.find(asked(b'{"x":2}')))


def test_path_query_and_method_count() -> None:
    answers = Answers([transcript("a", b"{}", URL + "?v=1")])
    assert "a" == name_of(answers.find(asked(b"{}", "http://h/v1/chat/completions?v=1")))
    for other in (asked(b"{}"), asked(b"{}", "http://h/v2/chat/completions?v=1"),
                  asked(b"{}", "http://h/v1/chat/completions?v=1", "PUT")):  # fmt: skip
        assert isinstance(answers.find(other), Miss)


def test_a_key_in_the_url_that_was_redacted_when_recorded_does_not_keep_a_request_from_its_answer() -> None:
    url = "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse&key="
    answers = Answers([transcript("gemini", b"{}", url + "[redacted]")])
    sent = asked(b"{}", "http://h/v1beta/models/m:streamGenerateContent?alt=sse&key=AIzaSyD-0123456789abcdefghijklmnop")
    assert "gemini" == name_of(answers.find(sent))


def test_a_miss_says_the_reason_the_nearest_and_what_to_do() -> None:
    answers = Answers([transcript("a", b'{"x": 1}')], repeats=False)
    missed = answers.find(asked(b'{"x": 2}'))
    assert isinstance(missed, Miss)
    assert ("body_differs", ["$.x: recorded 1, sent 2"]) == (missed.facts["reason"], missed.facts["differences"])
    assert "--match-on" in missed.message
    answers.find(asked(b'{"x": 1}'))
    again = answers.find(asked(b'{"x": 1}'))
    assert isinstance(again, Miss)
    assert "all_played" == again.facts["reason"]


def test_nothing_served_is_told_too() -> None:
    missed = Answers([]).find(asked(b"{}"))
    assert isinstance(missed, Miss)
    assert "empty_cassette" == missed.facts["reason"]


def test_what_is_served_may_be_read_when_it_is_first_needed() -> None:
    calls: list[int] = []

    def read() -> list[Transcript]:
        calls.append(1)
        return [transcript("a", b"{}")]

    answers = Answers(read)
    assert ([], []) == (list(answers.listed), calls)
    assert ["a", "a"] == [name_of(answers.find(asked(b"{}"))) for _ in range(2)]
    assert [1] == calls


def test_a_matcher_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"no matcher 'colour'; there are: .*json_body"):
        Answers([], match_on=["colour"])


# -- the rest


@pytest.mark.parametrize(
    ("path", "anthropic", "expected"),
    [
        ("/v1/models", False, {"object": "list", "data": ["id"]}),
        ("/v1/models", True, {"has_more": False, "data": ["id"]}),
        ("/api/tags", False, {"models": ["name"]}),
    ],
)
def test_the_models_come_in_the_shape_of_each_api(path: str, anthropic: bool, expected: dict[str, object]) -> None:
    head, body = models(
        [transcript("a", b'{"model": "m2"}'), transcript("b", b'{"model": "m1"}')], path, anthropic=anthropic
    )
    told = json.loads(body)
    key = "models" if "models" in expected else "data"
    assert ["m1", "m2"] == [one["name" if key == "models" else "id"] for one in told[key]]
    assert 200 == head.status
    assert {name: told[name] for name in expected if name != key} == {n: v for n, v in expected.items() if n != key}


@pytest.mark.parametrize("body", [b"", b"[1]", b"not json", b'{"model": 5}', b"[" * 100_000])
def test_a_request_without_a_model_names_none(body: bytes) -> None:
    _, told = models([transcript("a", body)], "/v1/models")
    assert ["replayed"] == [one["id"] for one in json.loads(told)["data"]]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1/x?a=1", "http://127.0.0.1:5/v1/x?a=1"),
        ("http://other.example/v1/x?a=1", "http://127.0.0.1:5/v1/x?a=1"),
        ("", "http://127.0.0.1:5/"),
        ("//double/x", "http://127.0.0.1:5/x"),
    ],
)
def test_the_url_of_a_request_is_on_the_server_itself(target: str, expected: str) -> None:
    assert expected == local("http://127.0.0.1:5", target)
