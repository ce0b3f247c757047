"""Reading and writing of cassettes, with stock vcrpy as the judge of what stays readable."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.corpus import needs_corpus, recordings

import streamkit
from streamkit.cassettes import Cassette, dump, load_cassette
from streamkit.cassettes.format import CONVERTERS, FORMAT, parse
from streamkit.errors import CassetteFormatError
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

REQUEST = Request("POST", "http://x/v1/chat/completions", (("content-type", "application/json"),), b'{"stream": true}')


def written(transcript: Transcript) -> Transcript:
    (again,) = parse(dump(Cassette((Interaction(REQUEST, transcript),)))).transcripts
    return again


bodies = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "ignore")),
    st.lists(
        st.sampled_from(
            [*'a \t\n\r\x85\u2028\u2029\ufeffé🌍#"\0', "data: ", "\r\n", "'"]
        ),
        max_size=20,
    ).map(lambda parts: "".join(parts).encode()),
)  # fmt: skip


@settings(max_examples=500)
@given(bodies, st.data())
def test_any_body_and_its_chunks_survive_the_file(body: bytes, data: st.DataObject) -> None:
    """Invariance: what is read is what was written, byte for byte and chunk for chunk."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=4)))
    edges = [0, *cuts, len(body)]
    lengths = tuple(b - a for a, b in pairwise(edges))
    times = tuple(sorted(data.draw(st.lists(st.integers(0, 10**6), min_size=len(lengths), max_size=len(lengths)))))
    transcript = Transcript(
        body,
        ResponseHead(200, "OK", (("Content-Type", "text/event-stream"), ("X-Twice", "1"), ("X-Twice", "2"))),
        lengths,
        times,
        data.draw(st.sampled_from(Ending)),
        True,
        "(cassette)",
        data.draw(st.none() | st.just("openai_chat")),
        data.draw(st.booleans()),
        data.draw(st.text(st.characters(codec="utf-8"), max_size=10)),
    )
    assert transcript == written(transcript)


@pytest.mark.parametrize("body", [b"\t\n", b"\ta\nb", b"\n\ta\n", b"\t \t\n\n"])
def test_a_body_that_begins_with_a_tab_survives_the_file(body: bytes) -> None:
    assert body == written(Transcript(body)).body


@pytest.mark.parametrize(
    "text",
    [
        "[00, 010, 0x1f]", "[1_000, -7, +3]", "[190:20:30, 2]", "['1', 2, !!int '3']", "[[0, 12], [3, 00], []]",
        "{1: 2, yes: no, ~: 2020-01-01}", "{a: b, a: c, =: d}", "{<<: {a: 1}, b: &x [1, 2], c: *x}", "!!set {a, b}",
        "!!str {=: b}", "!!binary aGk=", "[a, 1.5, true, '']",
    ],
)  # fmt: skip
def test_values_are_read_as_yaml_says_whatever_their_notation(text: str) -> None:
    raw = f"version: 1\ninteractions: []\nmetadata: {{held: {text}}}\n"
    assert {"held": yaml.safe_load(text)} == parse(raw.encode()).metadata


@pytest.mark.parametrize("text", ["!!seq a", "!!seq {a: b}", "!!map [a]", "!!map a", "!!int [1]", "{[a]: [b]}"])
def test_a_value_that_is_not_what_its_tag_says_is_a_fault_of_the_file(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(text)
    raw = f"version: 1\ninteractions: []\nmetadata: {{held: {text}}}\n"
    with pytest.raises(CassetteFormatError):
        parse(raw.encode())


def test_an_event_stream_is_written_as_a_block_that_reads_as_events() -> None:
    text = dump(Cassette((Interaction(REQUEST, Transcript(b"data: a\n\ndata: \xc3\xa9\n\n")),))).decode()
    assert "string: |+\n        data: a\n\n        data: é\n" in text


def test_the_same_cassette_gives_the_same_bytes() -> None:
    cassette = Cassette((Interaction(REQUEST, Transcript(b"data: a\n\n")),))
    assert dump(cassette) == dump(cassette) == dump(parse(dump(cassette), name=""))


def test_a_cassette_without_our_key_is_a_transcript_of_one_chunk() -> None:
    raw = b"""
version: 1
interactions:
- request: {method: GET, uri: "http://x/", body: null, headers: {}}
  response:
    status: {code: 200, message: OK}
    headers: {Content-Type: [text/event-stream]}
    body: {string: "data: a\\n\\n"}
"""
    (transcript,) = parse(raw).transcripts
    assert ((9,), False, Ending.COMPLETE, None) == (
        transcript.lengths,
        transcript.chunks_recorded,
        transcript.ending,
        transcript.dialect,
    )


@pytest.mark.parametrize(
    "body",
    [
        "string: !!binary /w==",
        "base64_string: /w==",
        'string: !!python/str "x"',
        "string: null",
    ],
)
def test_the_bodies_that_vcrpy_writes_and_wrote_are_read(body: str) -> None:
    raw = f"""
version: 1
interactions:
- request: {{method: GET, uri: "http://x/", body: null, headers: {{}}}}
  response: {{status: {{code: 200, message: OK}}, headers: {{}}, body: {{{body}}}}}
"""
    assert parse(raw.encode()).transcripts[0].body in (b"\xff", b"x", b"")


TWO_CHUNKS = Transcript(b"data: a\n\ndata: b\n\n", lengths=(9, 9), times=(0, 5))
GOOD = dump(Cassette((Interaction(REQUEST, TWO_CHUNKS),))).decode()


@pytest.mark.parametrize(
    ("old", "new", "where", "reason"),
    [
        ("format: 1", "format: 2", "streamkit.format", "newer streamkit"),
        ("format: 1", "format: one", "streamkit.format", "a whole number"),
        ("format: 1", "former: 1", "streamkit.format", "a whole number"),
        ("[[0, 9], [5, 9]]", "[[0, 9], [5, 8]]", "streamkit.chunks", "add up to 17 bytes and the body has 18"),
        ("[[0, 9], [5, 9]]", "[[5, 9], [0, 9]]", "streamkit.chunks.1", "goes back, from 5 to 0"),
        ("[[0, 9], [5, 9]]", "[[0, 9], [5, x]]", "streamkit.chunks.1", "whole numbers"),
        ("[[0, 9], [5, 9]]", "[]", "streamkit.chunks", "a list of"),
        ("ending: complete", "ending: exploded", "streamkit.ending", "none of: complete, truncated"),
        ("synthetic: false", "synthetic: maybe", "streamkit.synthetic", "true or false"),
        ("code: 200", "code: fine", "response.status", "whole-number `code`"),
        ("method: POST", "method: [1]", "request", "a `method` and a `uri`"),
        ("version: 1", "version: 3", "version", "only version 1"),
        ("interactions:", "interactoins:", "", "no cassette"),
    ],
)  # fmt: skip
def test_a_broken_cassette_is_an_error_with_path_line_and_reason(
    tmp_path: Path, old: str, new: str, where: str, reason: str
) -> None:
    path = tmp_path / "broken.yaml"
    assert old in GOOD
    text = GOOD.replace(old, new)
    path.write_text(text, "utf-8")
    with pytest.raises(CassetteFormatError) as caught:
        load_cassette(path)
    error = caught.value
    assert (str(path), True, True) == (error.path, where in error.reason, reason in error.reason), error.reason
    assert error.line is not None
    key = where.removesuffix(".1").rsplit(".", 1)[-1]
    near = text.splitlines()[max(0, error.line - 2) : error.line + 1]
    assert not key or any(key in line or new.split(":", maxsplit=1)[0] in line for line in near), error.line


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"", 1),
        (b"version: 1\ninteractions:\n- request: [\n", 4),
        (b"version: 1\n\tinteractions: []\n", 2),
        (b"\xff\xfe\xff", 1),
        (b"just a text", 1),
        (b"version: 1\ninteractions: {}\n", 2),
        (b"version: 1\ninteractions:\n- 3\n", 3),
        (b"version: 1\ninteractions: !!python/object/apply:os.getcwd []\n", 2),
        (b"version: 1\ninteractions:\n" + b"- [" * 5000, None),
    ],
)
def test_a_file_that_is_no_cassette_is_an_error_with_its_line(raw: bytes, line: int | None) -> None:
    with pytest.raises(CassetteFormatError) as caught:
        parse(raw, path="x.yaml")
    assert "x.yaml" == caught.value.path
    if line is not None:
        assert line == caught.value.line


def test_no_tag_can_run_code() -> None:
    with pytest.raises(CassetteFormatError, match="only plain YAML is read"):
        parse(b"!!python/object/apply:os.system ['true']")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CassetteFormatError, match="cannot be read"):
        load_cassette(tmp_path / "none.yaml")


@pytest.mark.parametrize("transcript", streamkit.cassettes.bundled(), ids=lambda transcript: transcript.name)
def test_stock_vcrpy_replays_a_bundled_cassette(transcript: Transcript) -> None:
    import urllib.request

    import vcr

    path = streamkit.cassettes.find(transcript.name)
    request = transcript.request
    assert request is not None
    with vcr.use_cassette(str(path), record_mode="none") as cassette:
        sent = urllib.request.Request(request.url, data=request.body, method=request.method)  # noqa: S310 - replayed
        with urllib.request.urlopen(sent) as response:  # noqa: S310 - replayed
            assert transcript.body == response.read()
        assert cassette.all_played


def test_what_is_ours_survives_a_save_by_stock_vcrpy(tmp_path: Path) -> None:
    from vcr.serialize import deserialize, serialize
    from vcr.serializers import yamlserializer

    original = streamkit.cassettes.find("openai_chat/synthetic_multibyte_text")
    requests, responses = deserialize(original.read_text("utf-8"), yamlserializer)[:2]
    saved = tmp_path / "saved.yaml"
    saved.write_text(serialize({"requests": requests, "responses": responses}, yamlserializer), "utf-8")
    assert streamkit.load("openai_chat/synthetic_multibyte_text").renamed(str(saved)) == streamkit.load(saved)


@needs_corpus
def test_every_transcript_of_the_corpus_survives_the_file() -> None:
    suffixes = (".sse", ".ndjson", ".eventstream", ".jsonarray")
    found = [recording for suffix in suffixes for recording in recordings(suffix)]
    assert len(found) > 800
    for recording in found:
        body = recording.body
        if len(body) < 200_000:
            assert body == written(Transcript(body)).body, recording.name


def test_our_files_are_plain_yaml() -> None:
    for transcript in streamkit.cassettes.bundled():
        document = yaml.safe_load(streamkit.cassettes.find(transcript.name).read_text("utf-8"))
        assert {"version", "interactions"} == set(document)


def test_an_older_format_is_read_through_the_table_of_converters(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_1(entry: dict[str, object]) -> dict[str, object]:
        return {**entry, "format": 2, "ending": entry["finish"]}

    transcript = Transcript(b"data: a\n\n", chunks_recorded=True)
    raw = dump(Cassette((Interaction(REQUEST, transcript),))).replace(b"ending: complete", b"finish: reset")
    monkeypatch.setattr("streamkit.cassettes.format.FORMAT", 2)
    monkeypatch.setitem(CONVERTERS, 1, from_1)
    assert Ending.RESET == parse(raw).transcripts[0].ending


def test_no_version_up_to_this_one_lacks_its_converter() -> None:
    assert set(range(1, FORMAT)) == set(CONVERTERS)


@pytest.mark.parametrize("levels", [9, 40])
def test_aliases_of_aliases_are_refused_before_they_grow(levels: int) -> None:
    lines = ["version: 1", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    raw = "\n".join([*lines, "interactions: []"]).encode()
    with pytest.raises(CassetteFormatError, match="aliases that stand for aliases"):
        parse(raw)


def test_the_aliases_that_vcrpy_writes_are_read() -> None:
    raw = b"""
version: 1
interactions:
- request: &r {method: GET, uri: "http://x/", body: null, headers: {}}
  response: &a {status: {code: 200, message: OK}, headers: {}, body: {string: "x"}}
- {request: *r, response: *a}
"""
    assert [b"x", b"x"] == [one.body for one in parse(raw).transcripts]


def test_an_ordinary_response_is_written_as_vcrpy_writes_it() -> None:
    transcript = Transcript(b"{}", ResponseHead(200, "OK", (("Content-Type", "application/json"),)))
    assert b"streamkit" not in dump(Cassette((Interaction(REQUEST, transcript),)))
    assert b"streamkit" in dump(Cassette((Interaction(REQUEST, Transcript(b"{}", chunks_recorded=True)),)))


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"data: a\r\n\r\n", 'string: "data: a\\r\\n\\\n        \\r\\n"\n'),
        (
            b'data: "\\n\xc2\x85"\n\ndata: b\n\n',
            'string: "data: \\"\\\\n\\x85\\"\\n\\\n        \\n\\\n        data: b\\n\\',
        ),
        (b"data: a\r\n  b\n", 'string: "data: a\\r\\n\\\n        \\  b\\n"\n'),
        (b"data: a \n\n b", "string: |2-\n        data: a \n\n         b\n"),
    ],
)
def test_a_body_reads_as_its_lines_whatever_ends_them(body: bytes, shown: str) -> None:
    raw = dump(Cassette((Interaction(REQUEST, Transcript(body, chunks_recorded=True)),))).decode()
    assert shown.replace("|2-", "|-") in raw
    assert body == parse(raw.encode()).transcripts[0].body
