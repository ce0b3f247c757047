"""Under which names servers and features are found, and what an unknown one says."""

from __future__ import annotations

from typing import Any

import pytest

import streamkit
from streamkit import Transcript
from streamkit.cassettes.catalogue import chosen
from streamkit.cassettes.features import features
from streamkit.errors import UsageError


@pytest.mark.parametrize(
    ("asked", "folder"),
    [
        ("llama.cpp", "llama_server"),
        ("llama-server", "llama_server"),
        ("llama_server", "llama_server"),
        ("LiteLLM", "litellm"),
        ("llama_cpp_python", "llama_cpp_python"),
        ("transformers", "transformers_serve"),
        ("transformers serve", "transformers_serve"),
        ("sse-starlette", "sse_starlette"),
    ],
)
def test_a_server_is_found_by_its_own_name_and_by_its_folders(asked: str, folder: str) -> None:
    every = [one.name for one in streamkit.library() if one.name.startswith(f"recorded/{folder}/")]
    assert every
    assert every == [one.name for one in streamkit.library(server=asked)]


def test_a_folder_names_no_server_where_none_is_known_or_the_transcript_is_elsewhere() -> None:
    unknown, elsewhere = (
        Transcript(b"data: x\n\n", name="recorded/tiny/a"),
        Transcript(b"data: x\n\n", name="chat/tiny/b", server="other 1.0"),
    )
    with pytest.raises(UsageError, match=r"There are: other, other 1.0$"):
        chosen([unknown, elsewhere], server="tiny")


def test_a_server_without_a_version_is_found_and_an_empty_name_finds_none() -> None:
    named, unnamed = Transcript(b"data: x\n\n", name="a", server="tiny"), Transcript(b"data: x\n\n", name="b")
    assert [named] == chosen([named, unnamed], server="tiny")
    with pytest.raises(UsageError, match=r"There are: tiny$"):
        chosen([named, unnamed], server="")


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ({"feature": "toolcalls"}, "tool_calls"),
        ({"feature": "tool-calls"}, "tool_calls"),
        ({"feature": ["text", "broken-of"]}, "broken_off"),
        ({"server": "lama-server"}, "llama-server"),
        ({"server": "litelm 1.108.7"}, "litellm 1.108.7"),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(asked: dict[str, Any], nearest: str) -> None:
    with pytest.raises(UsageError, match=rf"; did you mean '{nearest}'\? There are: "):
        streamkit.library(**asked)
    with pytest.raises(UsageError, match=r"'nothing like it'\. There are: "):
        streamkit.library(**dict.fromkeys(asked, "nothing like it"))


@pytest.mark.parametrize(("text", "has"), [("Rain in Oslo", False), ("Regen in Köln", True)])
def test_binary_framing_does_not_count_as_characters_beyond_ascii(text: str, has: bool) -> None:
    one = streamkit.synthesize(text, dialect="bedrock_converse")
    assert not one.body.isascii()
    assert ("utf8" in features(one) or "escapes" in features(one)) is has
