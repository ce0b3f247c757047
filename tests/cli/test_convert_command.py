"""`streamkit convert`: what it writes, what it says, and what it will not do."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from streamkit.cassettes import Cassette, dump, load, load_cassette
from streamkit.cassettes.convert import FORMATS, read
from streamkit.cassettes.curl import UNKNOWN_REQUEST
from streamkit.cli import cli, main
from streamkit.cli.convert import convert
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

BOSTON = "openai_chat/boston_weather"
SECRET = "sk-" + "test" * 8
BODY = b'data: {"a": 1}\r\n\r\ndata: \xe4\xb8\x96\n\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a cassette of two interactions in `cassettes`, and the command in its group."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STREAMKIT_CASSETTES", raising=False)
    monkeypatch.setitem(cli.commands, "convert", convert)
    first = Transcript(BODY, lengths=(4, len(BODY) - 4), chunks_recorded=True, ending=Ending.RESET)
    second = Transcript(b"data: 2\n\n", ResponseHead(200, "OK", (("Set-Cookie", f"key={SECRET}"),)))
    request = Request("POST", "https://api.example.com/v1", (("Authorization", f"Bearer {SECRET}"),), b"{}")
    path = tmp_path / "cassettes" / "mine.yaml"
    path.parent.mkdir()
    path.write_bytes(dump(Cassette((Interaction(request, first), Interaction(request, second)))))
    return tmp_path


def run(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[bytes, list[str]]:
    """Run the command, which must end so, and return its output and the lines on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["convert", *arguments])
    out, err = capfd.readouterr()
    assert code == ended.value.code, err
    return out.encode(), err.splitlines()


def test_a_name_becomes_a_file_of_the_format_that_its_suffix_asks_for(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    boston = load(BOSTON).body
    for suffix, form in ((".yaml", "streamkit"), (".har", "har"), (".sse", "sse"), (".txt", "curl"), (".http", "curl")):
        out, err = run(capfd, BOSTON, f"out{suffix}")
        size = (folder / f"out{suffix}").stat().st_size
        assert (b"", f"out{suffix}: 1 interaction, {size} bytes, {form}") == (out, err[0])
        assert boston == read(folder / f"out{suffix}").transcripts[0].body


@pytest.mark.parametrize("form", FORMATS)
def test_to_goes_before_the_suffix(folder: Path, capfd: pytest.CaptureFixture[str], form: str) -> None:
    run(capfd, f"{BOSTON}", "out.json", "--to", form)
    assert load(BOSTON).body in read(folder / "out.json").transcripts[0].body


def test_standard_output_gets_our_format_and_nothing_else(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, err = run(capfd, "mine")
    (folder / "again.yaml").write_bytes(out)
    assert [BODY, b"data: 2\n\n"] == [t.body for t in load_cassette(folder / "again.yaml").transcripts]
    assert [f"standard output: 2 interactions, {len(out)} bytes, streamkit"] == err
    assert (BODY, ["headers"]) == (
        run(capfd, "mine#1", "-", "--to", "sse")[0],
        run(capfd, "mine#1", "--to", "sse")[1][1].split(", ")[-1:],
    )


def test_what_the_format_cannot_hold_is_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, err = run(capfd, "mine#1", "out.txt")
    assert ["not kept, because curl cannot hold it: chunk boundaries, the way it ended, the request"] == err[1:]
    assert 1 == len(run(capfd, "mine#1", "out.har")[1])


def test_one_of_several_is_chosen_by_its_number(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for source in ("mine#2", "cassettes/mine.yaml#2", str(folder / "cassettes" / "mine.yaml#2")):
        run(capfd, source, "out.sse", "--force")
        assert b"data: 2\n\n" == (folder / "out.sse").read_bytes()
    _, err = run(capfd, "mine", "other.sse", code=2)
    assert ["streamkit: error: mine holds 2 interactions, and sse holds one: name one of them, mine#1 to mine#2"] == err
    assert not (folder / "other.sse").exists()
    assert "there is no #3" in run(capfd, "mine#3", code=2)[1][0]


def test_a_file_whose_name_ends_in_a_number_is_that_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "x#2").write_bytes(b"data: odd\n\n")
    assert b"data: odd\n\n" == run(capfd, "x#2", "--to", "sse")[0]


@pytest.mark.parametrize("form", FORMATS)
def test_secrets_are_removed_whatever_the_format(folder: Path, capfd: pytest.CaptureFixture[str], form: str) -> None:
    out, _ = run(capfd, "mine#2", "--to", form)
    assert b"data: 2" in out
    assert SECRET.encode() not in out


def test_nothing_is_overwritten_without_force(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "out.yaml"
    path.write_bytes(b"mine")
    _, err = run(capfd, BOSTON, "out.yaml", code=2)
    assert ["streamkit: error: out.yaml exists: write --force to overwrite it, or name another file"] == err
    assert b"mine" == path.read_bytes()
    run(capfd, BOSTON, "out.yaml", "--force")
    assert load(BOSTON).body == load_cassette(path).transcripts[0].body


def test_a_source_that_cannot_be_read_leaves_the_target_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.har").write_bytes(b'{\n"log": {]')
    (folder / "out.yaml").write_bytes(b"mine")
    _, err = run(capfd, "broken.har", "out.yaml", "--force", code=2)
    assert err[0].startswith("streamkit: error: broken.har:2: not JSON: ")
    assert {"broken.har", "cassettes", "out.yaml"} == {path.name for path in folder.iterdir()}
    assert b"mine" == (folder / "out.yaml").read_bytes()


def test_a_file_may_be_converted_into_itself(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(capfd, "cassettes/mine.yaml", "cassettes/mine.yaml", "--force")
    assert [BODY, b"data: 2\n\n"] == [t.body for t in load_cassette(folder / "cassettes" / "mine.yaml").transcripts]


def test_standard_input_is_read_as_any_file(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = b"HTTP/2 200 \r\ncontent-type: text/event-stream\r\n\r\n" + BODY
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    run(capfd, "-", "out.yaml", "--url", "https://api.example.com/v1", "--method", "get")
    (interaction,) = load_cassette(folder / "out.yaml").interactions
    assert BODY == interaction.transcript.body
    assert ("GET", "https://api.example.com/v1") == (interaction.request.method, interaction.request.url)


def test_an_unknown_request_is_marked_as_one(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "x.sse").write_bytes(BODY)
    run(capfd, "x.sse", "x.yaml")
    assert UNKNOWN_REQUEST == load_cassette(folder / "x.yaml").interactions[0].request
    run(capfd, "x.sse", "y.yaml", "--url", "https://api.example.com/")
    assert Request("POST", "https://api.example.com/") == load_cassette(folder / "y.yaml").interactions[0].request


def test_a_request_that_the_source_tells_is_not_replaced(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, err = run(capfd, "mine", "out.yaml", "--url", "https://other.example.com/", code=2)
    assert "mine tells its request: --url and --method are for sources that do not (curl, sse)" in err[0]


def test_one_entry_of_a_har_is_read_where_others_cannot_be(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(capfd, "mine", "x.har")
    document = json.loads((folder / "x.har").read_bytes())
    del document["log"]["entries"][0]["response"]["content"]["text"]
    del document["log"]["entries"][0]["response"]["_streamkit"]
    (folder / "x.har").write_text(json.dumps(document), encoding="utf-8")
    assert "It is #1 of 2: name another by its number" in run(capfd, "x.har", code=2)[1][0]
    assert b"data: 2\n\n" == run(capfd, "x.har#2", "--to", "sse")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["openai_chat/boston_wether", "x.yaml"], "did you mean 'openai_chat/boston_weather'"),
        (["missing.har", "x.yaml"], "no transcript named 'missing.har'"),
        ([BOSTON, "x.json"], "the name x.json does not say which format to write"),
        ([BOSTON, "x"], "end it in .yaml, .har, .sse or .txt, or write --to streamkit|vcr|har|curl|sse"),
        ([BOSTON, "none/x.yaml"], "there is no folder none"),
        ([BOSTON, "cassettes", "--to", "har"], "it is a folder"),
        ([BOSTON, "--to", "xml"], "'xml' is not one of"),
        ([], "Missing argument 'SOURCE'"),
        (["cassettes/mine.yaml#0"], "there is no #0"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_why(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    out, err = run(capfd, *arguments, code=2)
    assert (b"", 1, True) == (out, len(err), said in err[0]), err
    assert {"cassettes"} == {path.name for path in folder.iterdir()}
