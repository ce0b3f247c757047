"""Several cassettes in one file: the bytes are those of all their interactions written at once."""

from __future__ import annotations

from streamkit.cassettes import bundled
from streamkit.cassettes.format import Cassette, parse
from streamkit.cassettes.writing import dump, joined
from streamkit.transcript import Interaction, Request, Transcript


def test_files_joined_are_one_file_of_all_interactions() -> None:
    request = Request("POST", "https://api.example.com/v1/x", (("a", "b"),), b"{}")
    interactions = [Interaction(one.request or request, one) for one in bundled()]
    interactions.append(Interaction(request, Transcript(b"\xff\x00 no text")))
    for count in range(len(interactions) + 1):
        some = tuple(interactions[:count])
        raw = joined([dump(Cassette((one,))) for one in some])
        assert dump(Cassette(some)) == raw
        assert count == len(parse(raw).interactions)
