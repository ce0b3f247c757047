"""`streamkit verify`: what it says, its exit codes, and that no key shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skhelpers.server import Answer, StreamServer, body

from streamkit.cassettes import Cassette, dump, find, load_cassette
from streamkit.cassettes.redaction import Redactor
from streamkit.cli import cli, main
from streamkit.cli.verify import verify
from streamkit.transcript import Interaction, Request, ResponseHead, Transcript

SECRET = "sk-" + "test" * 8
BODY = body()
HEAD = ResponseHead(200, "OK", (("Content-Type", "text/event-stream"),))
URL = "https://api.example.com/v1/chat/completions"
LINE = f"chat.yaml#1: POST {URL}: "


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a cassette, no proxy, a key in the environment, and the command in its group."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("A_KEY", SECRET)
    monkeypatch.delenv("NO_KEY", raising=False)
    monkeypatch.setitem(cli.commands, "verify", verify)
    write("chat.yaml", URL)
    return tmp_path


def write(name: str, *urls: str) -> None:
    headers = (("Authorization", f"Bearer {SECRET}"), ("Content-Type", "application/json"))
    held = [Interaction(Request("POST", url, headers, b"{}"), Transcript(BODY, HEAD)) for url in urls]
    Path(name).write_bytes(dump(Cassette(tuple(Redactor().interaction(one) for one in held))))


def run(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[list[str], list[str]]:
    """Run the command, which must end so, and return the lines of its output and of standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["verify", *arguments])
    out, err = capfd.readouterr()
    assert code == ended.value.code, out + err
    assert SECRET not in out + err
    return out.splitlines(), err.splitlines()


def test_no_drift_is_one_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with StreamServer(Answer([BODY])) as server:
        out, err = run(capfd, "chat.yaml", "--base-url", server.url, "--auth-env", "A_KEY")
    assert [f"{LINE}no drift", "recorded in chat.fresh.yaml", "1 interaction, 0 drifted"] == out
    assert [] == err
    assert f"Bearer {SECRET}" == server.seen[0].headers["authorization"]
    assert SECRET not in Path("chat.fresh.yaml").read_text()


def test_drift_is_listed_and_the_exit_code_is_1(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    changed = BODY.replace(b'"created":1700000000', b'"created":"now","tier":1').replace(b": keep-alive", b"x: no")
    with StreamServer(Answer([changed])) as server:
        out, _ = run(capfd, "chat.yaml", "--base-url", server.url, "--no-keep", code=1)
    assert [
        f"{LINE}1 drifted, 1 new",
        "  note  framing comments: was there and is not there",
        "  new   field $.tier: is new",
        "  drift type $.created: was number and is string",
        "1 interaction, 1 drifted",
    ] == out
    assert ["chat.yaml"] == [file.name for file in folder.iterdir()]


def test_additions_alone_are_said_and_the_exit_code_is_0(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with StreamServer(Answer([BODY.replace(b'"model":"m"', b'"model":"m","tier":1')])) as server:
        out, _ = run(capfd, "chat.yaml", "--base-url", server.url)
    assert [f"{LINE}no drift, 1 new", "  new   field $.tier: is new"] == out[:2]
    assert "1 interaction, 0 drifted, 1 with additions alone" == out[-1]


def test_the_json_form_holds_everything(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write("two.yaml", URL, f"{URL}?key={SECRET}")
    with StreamServer(Answer([BODY])) as server:
        out, _ = run(capfd, "chat.yaml", "two.yaml", "chat.yaml", "--base-url", server.url, "--json", code=1)
    report = json.loads("\n".join(out))
    assert (1, 2, 0, 0, 1) == tuple(report[key] for key in ("format", "same", "new", "drift", "unreached"))
    first, second = report["cassettes"]
    assert ("chat.yaml", "chat.fresh.yaml", "two.yaml") == (first["path"], first["fresh"], second["path"])
    assert {
        "interaction": 2, "method": "POST", "url": f"{URL}?key=REDACTED", "result": "unreached", "hints": [],
        "problem": "not sent, because key was redacted: give --param 'key=$VARIABLE'", "findings": [],
    } == second["interactions"][1]  # fmt: skip


def test_where_nothing_can_be_reached_the_exit_code_is_2(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with StreamServer(Answer([])) as gone:
        nowhere = gone.url
    out, _ = run(capfd, "chat.yaml", "--base-url", nowhere, "--header", "X-Key: $A_KEY", code=2)
    assert out[0].startswith(f"{LINE}ConnectError: ")
    assert "1 interaction, 0 drifted, 1 without an answer" == out[-1]


def test_values_come_from_the_environment_and_are_secret(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write("chat.yaml", f"{URL}?key={SECRET}")
    with StreamServer(Answer([BODY])) as server:
        run(capfd, "chat.yaml", "--base-url", server.url, "--header", "X-Team: ${A_KEY}", "--header", "X-Cost: 5 $$",
            "--param", "key=$A_KEY")  # fmt: skip
    (seen,) = server.seen
    assert (SECRET, "5 $") == (seen.headers["x-team"], seen.headers["x-cost"])
    assert f"?key={SECRET} " in seen.line
    fresh = Path("chat.fresh.yaml").read_text()
    assert (False, True) == (SECRET in fresh, "5 $" in fresh)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--auth-env", "NO_KEY"], "--auth-env: the environment variable NO_KEY is not set, or empty"),
        (["--header", "X: ${NO_KEY}"], "--header X: the environment variable NO_KEY is not set, or empty"),
        (["--param", "x=$NO_KEY"], "--param x: the environment variable NO_KEY is not set, or empty"),
        (["--header", f"X {SECRET}"], "--header takes 'NAME: VALUE'"),
        (["--param", SECRET], "--param takes 'NAME=VALUE'"),
        (["--header", "X: 5$"], "--header X: a $ begins the name of an environment variable; write $$ for a dollar"),
        (["--header", "X: 1", "--header", "x: 2"], "--header gives x twice"),
        (["--header", "authorization: x", "--auth-env", "A_KEY"], "--auth-env and --header both give an Authorization"),
        (["--base-url", "nowhere"], "base_url is no address to send to"),
        (["--timeout", "0"], "Invalid value for '--timeout'"),
        (["missing.yaml"], "no transcript named 'missing.yaml'"),
        (["bare.sse"], "bare.sse is a bare body: it tells no request to send again"),
        (["broken.yaml"], "broken.yaml:1: no cassette"),
    ],
)
def test_a_call_at_fault_is_one_line_and_sends_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    Path("bare.sse").write_bytes(BODY)
    Path("broken.yaml").write_text("nothing")
    with StreamServer(Answer([BODY])) as server:
        write("chat.yaml", f"{server.url}/v1")
        out, err = run(capfd, "chat.yaml", *arguments, code=2)
    assert ([], 1, []) == (out, len(err), server.seen)
    assert err[0].startswith(f"streamkit: error: {message}")


def test_fresh_recordings_that_a_pattern_names_too_are_passed_over(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with StreamServer(Answer([BODY])) as server:
        run(capfd, "chat.yaml", "--base-url", server.url)
        out, _ = run(capfd, "chat.fresh.yaml", "chat.yaml", "--base-url", server.url)
        _, err = run(capfd, "chat.fresh.yaml", code=2)
    assert "1 interaction, 0 drifted" == out[-1]
    assert ["streamkit: error: chat.fresh.yaml is a fresh recording: name the cassette that it was made from"] == err


def test_nothing_is_left_beside_a_cassette_that_travels_with_streamkit(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = find("openai_chat/boston_weather")
    with StreamServer(Answer([load_cassette(path).transcripts[0].body])) as server:
        out, _ = run(capfd, "openai_chat/boston_weather", "--base-url", server.url)
    assert [True, "1 interaction, 0 drifted"] == [out[0].endswith(": no drift"), *out[1:]]
    assert not list(path.parent.glob("*.fresh.yaml"))


def test_what_a_server_says_does_nothing_to_the_terminal(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    evil = BODY.replace(b'"tool_calls"}]}', b'"\\u001b[2Jred\\n"}]}')
    with StreamServer(Answer([evil])) as server:
        out, _ = run(capfd, "chat.yaml", "--base-url", server.url, "--no-keep", code=1)
    assert any("finish-reason" in line and "\\x1b[2Jred\\n" in line for line in out)


def test_help_says_how_keys_are_given(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capfd, "--help")
    assert "'NAME: VALUE'" in "\n".join(out)
    assert "$VARIABLE and ${VARIABLE} stand for the" in " ".join(out)
