"""`streamkit record`, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from skhelpers.proxied import PATH
from skhelpers.raw_http import ask, connect, request
from skhelpers.server import Answer, StreamServer, body, pieces

from streamkit.cassettes import load_cassette
from streamkit.cli import cli, main
from streamkit.transcript import Ending

PIECES = pieces(body())
KEY = "sk-proj-" + "Xy7" * 12
HANGS = Answer(PIECES[:2], end="hang")


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; give the process and its URL."""
    command = [sys.executable, "-m", "streamkit", "record", *arguments]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PROVIDER_KEY": KEY, "GATEWAY": "gateway-secret-0815"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.kill()


def log_of(path: Path, count: int) -> list[dict[str, object]]:
    """Return the log when it has that many lines."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
        time.sleep(0.01)
    raise AssertionError(f"the log has no {count} lines")


@contextmanager
def under_way(url: str, piece: bytes) -> Iterator[None]:
    """Ask, and stay when a piece has come."""
    with connect(url) as connection:
        connection.sendall(request(url + PATH))
        data = b""
        while piece not in data:
            data += connection.recv(65536)
        yield


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_records_until_a_signal_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    with (
        StreamServer(Answer(PIECES)) as server,
        running(tmp_path, "--upstream", server.url, "--cassette", "chat/weather") as (process, url),
    ):
        assert PIECES == ask(url + PATH).chunks
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert 0 == process.returncode
    assert "cassettes/chat/weather.yaml: 1 recorded" == out.strip()
    (told,) = [json.loads(line) for line in err.splitlines()]
    assert ("POST", PATH, 200, "recorded", "complete", 7) == tuple(
        told[name] for name in ("method", "path", "status", "answer", "ending", "chunks")
    )
    assert PIECES == [
        chunk.data for chunk in load_cassette(tmp_path / "cassettes/chat/weather.yaml").transcripts[0].chunks
    ]


def test_what_is_under_way_at_the_signal_is_kept(tmp_path: Path) -> None:
    with (
        StreamServer(HANGS) as server,
        running(tmp_path, "--upstream", server.url, "--cassette", "c.yaml") as (process, url),
        under_way(url, PIECES[1]),
    ):
        process.terminate()
        process.communicate(timeout=20)
    assert 0 == process.returncode
    (found,) = load_cassette(tmp_path / "c.yaml").transcripts
    assert (Ending.CLIENT_CLOSED, PIECES[:2]) == (found.ending, [chunk.data for chunk in found.chunks])


def test_a_process_that_is_killed_has_kept_what_had_ended(tmp_path: Path) -> None:
    with StreamServer(Answer(PIECES), Answer(PIECES), HANGS) as server:
        arguments = ["--upstream", server.url, "--cassette", "c.yaml", "--log", "log"]
        with running(tmp_path, *arguments) as (process, url):
            for _ in range(2):
                ask(url + PATH)
            log_of(tmp_path / "log", 2)
            with under_way(url, PIECES[1]):
                process.kill()
                process.wait(20)
    assert [body(), body()] == [one.body for one in load_cassette(tmp_path / "c.yaml").transcripts]
    assert ["c.yaml", "log"] == sorted(one.name for one in tmp_path.iterdir())


def test_keys_come_from_the_environment_and_get_nowhere_else(tmp_path: Path) -> None:
    with StreamServer(lambda seen: Answer([f"data: {seen.headers}\n\n".encode()])) as server:
        arguments = ["--upstream", server.url, "--cassette", "c.yaml", "--log", "log", "--api-key-env", "PROVIDER_KEY",
                     "--header", "X-Gateway: $GATEWAY", "--header", "X-Plain: of the proxy"]  # fmt: skip
        with running(tmp_path, *arguments) as (process, url):
            ask(url + PATH, headers=["Authorization: Bearer of-the-client-12345", "X-Plain: of the client"])
            log_of(tmp_path / "log", 1)
            process.terminate()
            out, err = process.communicate(timeout=20)
        sent = server.seen[0].headers
    assert (f"Bearer {KEY}", "gateway-secret-0815", "of the proxy") == (
        sent["authorization"], sent["x-gateway"], sent["x-plain"],
    )  # fmt: skip
    written = (tmp_path / "c.yaml").read_text("utf-8") + (tmp_path / "log").read_text("utf-8") + out + err
    assert [] == [one for one in (KEY, "gateway-secret-0815", "of-the-client-12345") if one in written]


def test_a_cassette_that_is_there_is_replayed_with_the_provider_gone(tmp_path: Path) -> None:
    with StreamServer(Answer(PIECES)) as server:
        arguments = ["--upstream", server.url, "--cassette", "c.yaml", "--log", "log"]
        with running(tmp_path, *arguments) as (process, url):
            ask(url + PATH)
            process.terminate()
            process.wait(20)
    arguments += ["--repeats", "--ignore-json", "$.user", "--match-on", "method,path,json_body", "--speed", "0"]
    with running(tmp_path, *arguments) as (process, url):
        assert PIECES == ask(url + PATH).chunks
        assert PIECES == ask(url + PATH, b'{"user": 5}').chunks
        assert 404 == ask(url + PATH, b'{"other": 5}').status
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert "c.yaml: 2 replayed, 1 not in the cassette" == out.strip()
    assert ["recorded", "replayed", "replayed", "unmatched"] == [one["answer"] for one in log_of(tmp_path / "log", 4)]


# -- calls at fault

UPSTREAM = ["--upstream", "http://127.0.0.1:1"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "Missing option '--upstream'"),
        (UPSTREAM, "Missing option '--cassette'"),
        (["--upstream", "api.openai.com", "--cassette", "c"], "write a URL such as https://api.openai.com"),
        ([*UPSTREAM, "--cassette", "../c"], "is no cassette name"),
        ([*UPSTREAM, "--cassette", "c", "--listen", "8080"], "write HOST:PORT"),
        ([*UPSTREAM, "--cassette", "c", "--listen", "127.0.0.1:99999"], "write HOST:PORT"),
        ([*UPSTREAM, "--cassette", "c", "--listen", "192.0.2.1:0"], "cannot listen on 192.0.2.1:0"),
        ([*UPSTREAM, "--cassette", "c", "--record-mode", "none"], "no transcript named"),
        ([*UPSTREAM, "--cassette", "c", "--api-key-env", "NOT_SET_HERE"], "NOT_SET_HERE is not set"),
        ([*UPSTREAM, "--cassette", "c", "--header", "sk-secret"], "--header takes 'NAME: VALUE'"),
        ([*UPSTREAM, "--cassette", "c", "--match-on", "body_json"], "match_on names no matcher 'body_json'"),
        ([*UPSTREAM, "--cassette", "c", "--ignore-json", "user["], "is no JSON path"),
        ([*UPSTREAM, "--cassette", "file/c"], "cannot be written"),
        ([*UPSTREAM, "--cassette", "c", "--log", "no/such/folder/log"], "cannot write no/such/folder/log"),
        ([*UPSTREAM, "--cassette", "broken.yaml"], "broken.yaml"),
    ],
)
def test_a_call_at_fault_is_one_line_and_nothing_listens(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cassettes").mkdir()
    (tmp_path / "cassettes" / "file").write_text("")
    (tmp_path / "broken.yaml").write_text("interactions: [")
    with pytest.raises(SystemExit) as raised, chdir(tmp_path):
        main(["record", *arguments])
    out, err = capfd.readouterr()
    assert (2, "") == (raised.value.code, out)
    assert expected in err
    assert 1 == len(err.splitlines())
    assert "sk-secret" not in err


def test_help_says_what_becomes_of_keys() -> None:
    assert "Neither it nor the key is logged or recorded" in " ".join(
        CliRunner().invoke(cli, ["record", "--help"]).output.split()
    )
